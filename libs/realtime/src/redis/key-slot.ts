/** How many hash slots a Redis Cluster has. */
export const SLOTS = 16_384;

const CRC16 = crc16Table();

/** The slot of a key or channel: CRC16 (XMODEM) of its hash tag, or of all of it, modulo 16 384. Redis Cluster specification. */
export function keySlot(key: string): number {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open + 1);
  // `{}` is no tag.
  const tag = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of Buffer.from(tag)) crc = ((crc << 8) & 0xffff) ^ (CRC16[((crc >> 8) ^ byte) & 0xff] ?? 0);
  return crc % SLOTS;
}

function crc16Table(): Uint16Array {
  return Uint16Array.from({ length: 256 }, (_, index) => {
    let crc = index << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    return crc & 0xffff;
  });
}
