import type { Position } from 'nestjs-realtime-protocol';
import type { LogState } from './room-log.js';

/** Whether what this position has seen is a beginning of this log: its epoch is current, or ended at or after it. */
export function isContinuous(position: Position, log: LogState): boolean {
  const end = position.epoch === log.epoch ? log.offset : log.forks[position.epoch];
  return end !== undefined && position.offset <= end;
}

/** Whether the log still has everything that came after this position. */
export function isRecoverable(position: Position, log: LogState): boolean {
  return isContinuous(position, log) && position.offset >= log.start;
}
