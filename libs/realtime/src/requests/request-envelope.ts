/** What our client adds to a request: `{ $rt: { id, attempt } }`, the last argument before the ack. */
export interface RequestEnvelope {
  readonly id: string;
  readonly attempt: number;
}

/** 128 bits in base64url are 22 characters. */
const REQUEST_ID = /^[A-Za-z0-9_-]{22,64}$/;

/** The envelope, only if the value is exactly one; anything else is the app's payload. */
export function readEnvelope(value: unknown): RequestEnvelope | undefined {
  if (!isRecord(value) || !Object.hasOwn(value, '$rt') || Object.keys(value).length !== 1) return undefined;
  const { $rt } = value;
  if (!isRecord($rt)) return undefined;
  const { id, attempt } = $rt;
  if (typeof id !== 'string' || !REQUEST_ID.test(id)) return undefined;
  return Number.isSafeInteger(attempt) && (attempt as number) >= 1 ? { id, attempt: attempt as number } : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
