import type { Hello } from 'nestjs-realtime-protocol';
import { isRecord } from './client-error.js';

/** No limit, and still a number to count with. */
const UNLIMITED = 1e9;

/** What an older or newer server left out counts as its weakest promise: it remembers no request, and has no limits. */
export function parseHello(value: unknown): Hello | undefined {
  if (!isRecord(value)) return undefined;
  const { limits } = value;
  const limit = (name: string): [string, number] => {
    const most = Number(isRecord(limits) && limits[name]);
    return [name, most > 0 ? most : UNLIMITED];
  };
  return {
    ...value,
    limits: Object.fromEntries(['messagesPerSecond', 'burst', 'maxPayloadBytes', 'maxRooms'].map(limit)),
    requestWindowMs: Number(value['requestWindowMs']) || 0,
  } as Hello;
}
