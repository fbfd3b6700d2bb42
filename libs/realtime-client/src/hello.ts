import type { Hello } from 'nestjs-realtime-protocol';
import { isRecord } from './client-error.js';

/** No limit, and still a number to count with. */
const UNLIMITED = 1e9;

/** What an older or newer server left out counts as its weakest promise: it remembers no request, and has no limits. */
export function parseHello(value: unknown): Hello | undefined {
  if (!isRecord(value) || typeof value['v'] !== 'number') return undefined;
  const limits = isRecord(value['limits']) ? value['limits'] : {};
  const text = (name: string): string => (typeof value[name] === 'string' ? value[name] : '');
  return {
    connectionId: text('connectionId'),
    v: value['v'],
    node: text('node'),
    limits: {
      messagesPerSecond: limit(limits['messagesPerSecond']),
      burst: limit(limits['burst']),
      maxPayloadBytes: limit(limits['maxPayloadBytes']),
      maxRooms: limit(limits['maxRooms']),
    },
    requestWindowMs: typeof value['requestWindowMs'] === 'number' ? value['requestWindowMs'] : 0,
  };
}

function limit(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : UNLIMITED;
}
