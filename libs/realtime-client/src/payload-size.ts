import { RealtimeClientError } from './client-error.js';

/**
 * Bytes of a payload on the wire, about.
 * @throws RealtimeClientError `BAD_REQUEST` for what JSON cannot say: a circle, a BigInt.
 */
export function sizeOf(data: unknown): { bytes: number; isBinary: boolean } {
  let binary = 0;
  let isBinary = false;
  function withoutBinary(this: Record<string, unknown>, key: string, value: unknown): unknown {
    // A Buffer has become an object by now; its holder still has it.
    const raw: unknown = this[key];
    if (!(raw instanceof ArrayBuffer || ArrayBuffer.isView(raw))) return value;
    isBinary = true;
    binary += raw.byteLength;
    return null;
  }
  try {
    const json = JSON.stringify(data, withoutBinary) as string | undefined;
    return { bytes: binary + new TextEncoder().encode(json).length, isBinary };
  } catch (error) {
    throw new RealtimeClientError('BAD_REQUEST', (error as Error).message);
  }
}
