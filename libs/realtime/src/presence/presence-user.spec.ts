import fc from 'fast-check';
import type { PresenceUser } from 'nestjs-realtime-protocol';
import { changeDevice, deviceChanges } from './presence-user.js';

const user = (devices: PresenceUser['devices'], more?: number): PresenceUser =>
  more === undefined ? { id: 'ada', devices } : { id: 'ada', devices, more };
const [a, b, c] = ['a', 'b', 'c'].map((device) => ({ device })) as [
  { device: string },
  { device: string },
  object & { device: string },
];

describe('when the devices of a user change', () => {
  it.each([
    ['nothing', user([a, b]), user([a, b]), []],
    ['metadata', user([a, b]), user([a, { device: 'b', meta: 1 }]), [{ id: 'ada', set: { device: 'b', meta: 1 } }]],
    ['a new one', user([a]), user([a, b]), [{ id: 'ada', set: b }]],
    ['one that left', user([a, b]), user([b]), [{ id: 'ada', drop: 'a' }]],
    ['one in place of another', user([a, b], 2), user([b, c], 1), [{ id: 'ada', drop: 'a', set: c, more: 1 }]],
    ['the number of others', user([a], 1), user([a]), [{ id: 'ada', more: 0 }]],
    ['their order', user([a, b]), user([b, a]), [{ id: 'ada', drop: 'a', set: a }]],
  ])('tells %s and no more', (_, before, after, changes) => {
    expect(deviceChanges(before, after)).toEqual(changes);
  });

  it('has the list of the one who told it when it is applied, in the same order', () => {
    const device = fc.record({ device: fc.constantFrom(...'abcdefgh'), meta: fc.constantFrom(0, 1, [], {}) });
    const devices = fc.uniqueArray(device, { selector: (item) => item.device });
    const any = fc.record(
      { id: fc.constant('ada'), devices, more: fc.integer({ min: 1, max: 3 }) },
      { requiredKeys: ['id', 'devices'] },
    );
    fc.assert(
      fc.property(any, any, (before, after) => {
        expect(deviceChanges(before, after).reduce(changeDevice, before)).toEqual(after);
      }),
    );
  });
});
