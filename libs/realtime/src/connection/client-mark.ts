/** Longest label of a device that is kept. */
const MAX_DEVICE = 64;

/** `auth.rt` as our client sends it; anything else is a stock client. */
export function clientMark(auth: unknown): { device?: string } | undefined {
  if (typeof auth !== 'object' || auth === null) return undefined;
  const { rt } = auth as { rt?: unknown };
  if (typeof rt !== 'object' || rt === null || typeof (rt as { v?: unknown }).v !== 'number') return undefined;
  const { device } = rt as { device?: unknown };
  return typeof device === 'string' && isLabel(device) ? { device } : {};
}

/** It goes to all members of a room: no control characters, no halves of characters. */
function isLabel(device: string): boolean {
  return device !== '' && device.length <= MAX_DEVICE && !/[\p{Cc}\p{Cs}]/u.test(device);
}
