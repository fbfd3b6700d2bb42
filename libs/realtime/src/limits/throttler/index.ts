export { httpOnly } from '../http-only.js';
export { RATE_STORE, type RateHit, type RateStore } from '../rate-store.js';
export { RealtimeThrottlerGuard } from './realtime-throttler.guard.js';
export { RealtimeThrottlerModule } from './realtime-throttler.module.js';
export { RealtimeThrottlerStorage } from './realtime-throttler.storage.js';
/** The same storage under the name that people look for; it is Redis when the realtime module runs on Redis. */
export { RealtimeThrottlerStorage as RedisThrottlerStorage } from './realtime-throttler.storage.js';
