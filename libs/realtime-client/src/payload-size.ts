/**
 * Bytes of a payload on the wire, about.
 * @throws TypeError for what JSON cannot say: a circle, a BigInt.
 */
export function sizeOf(data: unknown): { bytes: number; isBinary: boolean } {
  let binary = 0;
  let isBinary = false;
  const json = JSON.stringify(data, function (this: Record<string, unknown>, key, value: unknown) {
    // A Buffer has become an object by now; its holder still has it.
    const raw: unknown = this[key];
    if (!(raw instanceof ArrayBuffer || ArrayBuffer.isView(raw))) return value;
    isBinary = true;
    binary += raw.byteLength;
    return null;
  }) as string | undefined;
  return { bytes: binary + new TextEncoder().encode(json ?? '').length, isBinary };
}
