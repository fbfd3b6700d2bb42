import type { Hello } from 'nestjs-realtime-protocol';
import { isRecord } from './client-error.js';

/** No limit, and still a number to count with. */
const UNLIMITED = 1e9;

/** What an older or newer server left out counts as its weakest promise: it remembers no request, and has no limits. */
export function parseHello(value: unknown): Hello | undefined {
  if (!isRecord(value)) return undefined;
  const limits = isRecord(value['limits']) ? value['limits'] : {};
  return {
    ...value,
    limits: {
      messagesPerSecond: limit(limits['messagesPerSecond']),
      burst: limit(limits['burst']),
      maxPayloadBytes: limit(limits['maxPayloadBytes']),
      maxRooms: limit(limits['maxRooms']),
    },
    requestWindowMs: Number(value['requestWindowMs']) || 0,
  } as Hello;
}

function limit(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : UNLIMITED;
}
