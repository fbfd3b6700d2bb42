import { isRecord } from './client-error.js';
import type { RealtimeClientOptions } from './options.js';

/** Who a token speaks for. It is not verified: it only keeps the messages of two users apart. */
export function principalOf(token: string | undefined, option: RealtimeClientOptions['principal']): string | undefined {
  return typeof option === 'function' ? option(token) : (option ?? subjectOf(token));
}

function subjectOf(token: string | undefined): string | undefined {
  try {
    const payload = (token?.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const subject = isRecord(claims) ? claims['sub'] : undefined;
    return typeof subject === 'string' ? subject : undefined;
  } catch {
    return undefined;
  }
}
