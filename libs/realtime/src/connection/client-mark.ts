/** Longest label of a device that is kept. */
const MAX_DEVICE = 64;

/** `auth.rt` as our client sends it; anything else is a stock client. */
export function clientMark(auth: unknown): { device?: string } | undefined {
  if (typeof auth !== 'object' || auth === null) return undefined;
  const { rt } = auth as { rt?: unknown };
  if (typeof rt !== 'object' || rt === null || typeof (rt as { v?: unknown }).v !== 'number') return undefined;
  const { device } = rt as { device?: unknown };
  return typeof device === 'string' && device !== '' && device.length <= MAX_DEVICE ? { device } : {};
}
