export { REALTIME_CLOCK, type Clock } from '../core/clock.js';
export { ManualClock } from './manual-clock.js';
