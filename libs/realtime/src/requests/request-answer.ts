import { isErrorAck, type ErrorAck, type WireError } from 'nestjs-realtime-protocol';
import type { Settlement } from './request-store.js';

const TEXT = new TextEncoder();

/**
 * How a request is settled that was answered with `ack` (a value, or `{ error }`). Errors that may be tried again are not
 * kept: `RATE_LIMITED` says that the handler did not run, of others it may have. What is too large to keep, or is binary,
 * leaves only that it happened.
 * @throws TypeError for what cannot be sent either (a cycle, a BigInt).
 */
export function settlementOf(ack: unknown, maxBytes: number): Settlement {
  if (isErrorAck(ack)) return settlementOfError(ack.error, maxBytes);
  const body = encode(ack);
  return body !== undefined && fits(body, maxBytes) ? { kind: 'answer', body } : { kind: 'applied' };
}

function settlementOfError(error: WireError, maxBytes: number): Settlement {
  if (error.retryable) return { kind: error.code === 'RATE_LIMITED' ? 'forget' : 'release' };
  const { code, message, retryable } = error;
  const bodies = [encode({ error }), encode({ error: { code, message, retryable } } satisfies ErrorAck)];
  const body = bodies.find((one) => one !== undefined && fits(one, maxBytes));
  return body === undefined ? { kind: 'applied' } : { kind: 'answer', body };
}

function fits(body: string, maxBytes: number): boolean {
  return body.length <= maxBytes && TEXT.encode(body).byteLength <= maxBytes;
}

/** Undefined for binary: it travels as attachments, which JSON would not give back. */
function encode(value: unknown): string | undefined {
  let hasBinary = false;
  const json = JSON.stringify(value ?? null, function (this: Record<string, unknown>, key: string, encoded: unknown) {
    const raw = this[key];
    hasBinary ||= raw instanceof ArrayBuffer || ArrayBuffer.isView(raw) || raw instanceof Blob;
    return hasBinary ? undefined : encoded;
  }) as string | undefined;
  return hasBinary ? undefined : (json ?? 'null');
}
