import fc from 'fast-check';
import { isRoomName, userRoom } from 'nestjs-realtime-protocol';
import {
  COMMANDS_CHANNEL,
  OLDER_COMMANDS_CHANNEL,
  REQUESTS_CHANNEL,
  answersChannel,
  probeChannel,
  roomChannel,
} from '../cluster/channels.js';
import { NODES_TAG, OLDER_NODES_TAG, indexKey, rateKey, requestKey, roomKey } from './key-names.js';
import { resolveRedisOptions } from './redis-options.js';

const ROOM_PARTS = ['p', 'pm', 'pi', 'pu', 'pl', 'pc', 'pn', 'pd', 'px', 'py', 'log', 'logm', 'once:x'];
const NODE_PARTS = ['leases', 'ids', 'dead', 'sweep', 'log:meta', 'log', 'log:expiry'];
const OWN_WORDS = [
  'nodes',
  '#nodes',
  '{nodes}',
  'idx',
  'req',
  'rate',
  'log',
  'ch',
  'commands',
  'socket.io',
  'probe',
  'answers',
];

/** Words of ours among whatever else may stand in a name. */
const text = fc
  .array(fc.oneof(fc.constantFrom(...OWN_WORDS, ':', '/', '}', '{', '#', '\u001f'), fc.string()), { maxLength: 6 })
  .map((parts) => parts.join(''));
const room = fc
  .oneof(fc.constantFrom('nodes', 'nodes:log', 'idx:a', 'req:x', 'rate'), text.map(userRoom), text)
  .filter(isRoomName);
const incarnation = fc.base64String({ minLength: 4, maxLength: 12 }).map((id) => id.replace(/[+/=]/g, '_'));
const nodeId = fc.stringMatching(/^[\w.:-]{1,64}$/);

const some = <T>(items: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.uniqueArray(items, { maxLength: 5, selector: (item) => JSON.stringify(item) });

/** Every name that these make necessary, and what it is for. */
const names: fc.Arbitrary<[what: string, name: string][]> = fc
  .record({
    rooms: some(room),
    incarnations: some(incarnation),
    devices: some(fc.tuple(text, text)),
    counters: some(text),
    nodeIds: some(nodeId),
  })
  .map(({ rooms, incarnations, devices, counters, nodeIds }) => [
    ...NODE_PARTS.flatMap((part): [string, string][] => [
      [`nodes ${part}`, `${NODES_TAG}:${part}`],
      [`older nodes ${part}`, `${OLDER_NODES_TAG}:${part}`],
    ]),
    ['commands', COMMANDS_CHANNEL],
    ['older commands', OLDER_COMMANDS_CHANNEL],
    ['requests', REQUESTS_CHANNEL],
    ...rooms.map((of): [string, string] => [`channel of ${of}`, roomChannel(of)]),
    ...rooms.flatMap((of) => ROOM_PARTS.map((part): [string, string] => [`room ${of} ${part}`, roomKey(of, part)])),
    ...incarnations.map((id): [string, string] => [`index ${id}`, indexKey(id)]),
    ...devices.flatMap((of) =>
      ['q', 'qt', 'qb', 'qa'].map((part): [string, string] => {
        const [user, device] = part === 'qa' ? of : [of[0], undefined];
        return [`${JSON.stringify([user, device])} ${part}`, requestKey(user, part, device)];
      }),
    ),
    ...counters.map((of): [string, string] => [`counter ${of}`, rateKey(of)]),
    ...nodeIds.flatMap((id): [string, string][] => [
      [`answers ${id}`, answersChannel(id)],
      [`probe ${id}`, probeChannel(id)],
    ]),
  ]);

const prefix = fc.oneof(
  fc.stringMatching(/^[\w.:-]{1,64}$/),
  fc
    .tuple(fc.constantFrom('a', 'rt:', 'rt'), fc.constantFrom('', ':', '-request', '-response'))
    .map((parts) => parts.join('')),
);

describe('names in Redis', () => {
  it('are never those of something else, whatever users, rooms, devices and throttlers are called', () => {
    fc.assert(
      fc.property(names, (all) => {
        const owners = new Map<string, string>();
        for (const [what, name] of all) {
          if (owners.has(name)) expect([name, owners.get(name)]).toEqual([name, what]);
          owners.set(name, what);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('are never those of an app with another prefix, nor its Socket.IO adapter’s', () => {
    fc.assert(
      fc.property(prefix, names, prefix, names, (mine, myNames, others, otherNames) => {
        fc.pre(mine !== others);
        const theirs = new Set(otherNames.map(([, name]) => others + name));
        expect(myNames.filter(([, name]) => theirs.has(mine + name))).toEqual([]);
        // Of an adapter, in each namespace: `<key>#…`, `<key>-request#…`, `<key>-response#…`.
        const [myChannels = [], otherChannels = []] = [mine, others].map((keyPrefix) => {
          const { key } = resolveRedisOptions({ url: 'redis://a', keyPrefix }).adapter;
          return ['#', '-request#', '-response#'].map((end) => key + end);
        });
        expect(myChannels.filter((channel) => otherChannels.includes(channel))).toEqual([]);
        const isAdapters = (name: string): boolean =>
          otherChannels.some((channel) => (mine + name).startsWith(channel));
        expect(myNames.filter(([, name]) => isAdapters(name))).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
