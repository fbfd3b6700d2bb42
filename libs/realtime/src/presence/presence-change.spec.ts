import { parsePresenceChange } from './presence-change.js';

const valid = { epoch: 'e', version: 1, user: { id: 'ada', devices: [{ device: 'd', meta: [] }] }, count: 1 };

const partial = { ...valid, user: undefined, devices: [{ id: 'ada', drop: 'd', set: { device: 'e' }, more: 0 }] };

describe('when a message arrives on a room channel', () => {
  it.each([valid, partial, { ...valid, bytes: 0, quiet: true }, { ...valid, later: 'field' }])(
    'accepts %j',
    (value) => {
      expect(parsePresenceChange(JSON.stringify(value))).toEqual(value);
    },
  );

  it.each([
    ['nothing', ''],
    ['text', 'garbage'],
    ['cut JSON', JSON.stringify(valid).slice(0, -1)],
    ['null', 'null'],
    ['a list', '[]'],
    ['no epoch', JSON.stringify({ ...valid, epoch: undefined })],
    ['an empty epoch', JSON.stringify({ ...valid, epoch: '' })],
    ['version 0', JSON.stringify({ ...valid, version: 0 })],
    ['a version that is text', JSON.stringify({ ...valid, version: '1' })],
    ['a version beyond 2^53', JSON.stringify(valid).replace('"version":1', '"version":1e300')],
    ['a negative count', JSON.stringify({ ...valid, count: -1 })],
    ['bytes that are text', JSON.stringify({ ...valid, bytes: 'x' })],
    ['no user', JSON.stringify({ ...valid, user: null })],
    ['no devices', JSON.stringify({ ...valid, user: { id: 'ada' } })],
    ['a device without a name', JSON.stringify({ ...valid, user: { id: 'ada', devices: [{}] } })],
    ['a number of others that is text', JSON.stringify({ ...valid, user: { ...valid.user, more: '1' } })],
    ['a user and changes', JSON.stringify({ ...valid, devices: partial.devices })],
    ['no change', JSON.stringify({ ...partial, devices: [] })],
    ['changes of two users', JSON.stringify({ ...partial, devices: [...partial.devices, { id: 'bob', drop: 'd' }] })],
    ['a change without a user', JSON.stringify({ ...partial, devices: [{ drop: 'd' }] })],
    ['a change that sets nothing', JSON.stringify({ ...partial, devices: [{ id: 'ada', set: null }] })],
    ['a change that drops an object', JSON.stringify({ ...partial, devices: [{ id: 'ada', drop: {} }] })],
    ['two megabytes', JSON.stringify({ ...valid, padding: 'x'.repeat(2_000_000) })],
  ])('ignores %s', (_, json) => {
    expect(parsePresenceChange(json)).toBeUndefined();
  });
});
