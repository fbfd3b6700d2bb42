/** Longest label of a device that is kept. */
const MAX_DEVICE = 64;

/** `auth.rt` as our client sends it, `v` being what it understands; anything else is a stock client. */
export function clientMark(auth: unknown): { v: number; device?: string } | undefined {
  if (typeof auth !== 'object' || auth === null) return undefined;
  const { rt } = auth as { rt?: unknown };
  if (typeof rt !== 'object' || rt === null) return undefined;
  const { v, device } = rt as { v?: unknown; device?: unknown };
  if (typeof v !== 'number') return undefined;
  return typeof device === 'string' && isLabel(device) ? { v, device } : { v };
}

/** It goes to all members of a room: no control characters, no halves of characters. */
function isLabel(device: string): boolean {
  return device !== '' && device.length <= MAX_DEVICE && !/[\p{Cc}\p{Cs}]/u.test(device);
}
