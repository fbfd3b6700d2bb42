import { keySlot } from './key-slot.js';

describe('when the slot of a key is computed', () => {
  // By CLUSTER KEYSLOT of redis-server 7.0.
  it.each([
    ['123456789', 12_739],
    ['foo', 12_182],
    ['{foo}.bar', 12_182],
    ['rt:{foo}:ch', 12_182],
    ['foo{}bar', 14_292],
    ['foo{{bar}}', 4_015],
    ['{bar', 4_015],
    ['', 0],
    ['ä', 13_929],
  ])('%s is in %d', (key, slot) => expect(keySlot(key)).toBe(slot));
});
