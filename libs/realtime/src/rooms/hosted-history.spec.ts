import { roomChannel } from '../cluster/channels.js';
import type { Link } from '../core/link.js';
import type { ConnectionId } from '../core/ids.js';
import { noMetrics } from '../core/metrics.js';
import { RecentPublications } from '../history/recent-publications.js';
import { MemoryBus } from '../memory/memory-bus.js';
import { MemoryHub } from '../memory/memory-hub.js';
import { MemoryRoomLog } from '../memory/memory-room-log.js';
import { ManualClock } from '../testing/manual-clock.js';
import { HostedHistory } from './hosted-history.js';
import type { RoomMember } from './room-member.js';
import { decodeRoomMessage, encodeRoomMessage } from './room-message.js';
import type { NumberedMessage } from './room-recovery.js';

const RETENTION = { size: 100, ttlMs: 3_600_000 };

function start(room: string) {
  const clock = new ManualClock();
  const bus = new MemoryBus(new MemoryHub());
  const log = new MemoryRoomLog(bus, clock);
  const delivered: NumberedMessage[] = [];
  const channel: NumberedMessage[] = [];
  let looks = 0;
  const counting = {
    read: log.read.bind(log),
    states: (...rooms: Parameters<MemoryRoomLog['states']>) => {
      looks += 1;
      return log.states(...rooms);
    },
  };
  void bus.subscribe(roomChannel(room), (payload) => channel.push(decodeRoomMessage(payload) as NumberedMessage));
  const history = new HostedHistory(room, RETENTION, {
    ...{ log: counting, clock, metrics: noMetrics },
    recent: new RecentPublications<NumberedMessage>(1_000_000),
    deliver: (_room, message) => delivered.push(message),
    tell: () => undefined,
  });
  const publish = async (id: string): Promise<void> => {
    const text = encodeRoomMessage({ room, event: 'said', data: id, id });
    await log.publish({ room, publisher: 'x', id, text, retention: RETENTION });
    await clock.advanceAsync(0);
  };
  return { clock, log, history, delivered, channel, publish, looks: () => looks };
}

const member = (id: string): RoomMember => {
  const link = { id: id as ConnectionId, namespace: '/', isOpen: true } as Link;
  return { link, principal: { id: 'ada' }, device: id, rooms: new Set() } as unknown as RoomMember;
};

describe("when a client joins its user's own room while a publication is on its way", () => {
  it('delivers it to the connections whose answer did not have it', async () => {
    const { history, delivered, channel, publish } = start('user/ada');
    await publish('1');
    const release = await history.prepare({ since: 'retention' });
    expect(history.recover({ since: 'retention' }, member('tab'))).toMatchObject({
      recovered: true,
      publications: [{ data: '1' }],
    });
    release();
    history.onMessage(channel[0] as NumberedMessage);
    expect(delivered.map(({ position, header }) => [position.offset, header.x])).toEqual([[1, ['tab']]]);
    expect(history.position?.offset).toBe(1);
  });

  it('does not when that was long ago, nor in other rooms', async () => {
    for (const room of ['user/ada', 'chat/1']) {
      const { clock, history, delivered, channel, publish } = start(room);
      await publish('1');
      (await history.prepare({}))();
      if (room === 'user/ada') clock.advance(1_000);
      history.onMessage(channel[0] as NumberedMessage);
      expect(delivered).toEqual([]);
    }
  });
});

describe('when clients name positions that nobody here knows', () => {
  it('asks the log, but once for each epoch and once a second', async () => {
    const { clock, history, publish, looks } = start('chat/1');
    await publish('1');
    const joinWith = async (epoch: string, offset: number): Promise<boolean | undefined> => {
      const wanted = { position: { epoch, offset } };
      const prepared = history.prepare(wanted);
      await clock.advanceAsync(1_000);
      (await prepared)();
      return history.recover(wanted, member('a'))?.recovered;
    };
    expect(await joinWith('other', 1)).toBe(false);
    expect(looks()).toBe(2);
    for (const offset of [1, 2, 3]) expect(await joinWith('other', offset)).toBe(false);
    expect(looks()).toBe(2);
    const { epoch = '' } = history.position ?? {};
    const crowd = [1, 2, 3, 4].map((n) => history.prepare({ position: { epoch, offset: 100 * n } }));
    await clock.advanceAsync(1_000);
    for (const release of await Promise.all(crowd)) release();
    expect(looks()).toBe(3);
  });

  it('catches up with a client that has heard more than this node', async () => {
    const { clock, history, publish, delivered } = start('chat/1');
    await history.open();
    await publish('1');
    await publish('2');
    const { epoch = '' } = history.position ?? {};
    const wanted = { position: { epoch, offset: 1 } };
    const prepared = history.prepare(wanted);
    await clock.advanceAsync(1_000);
    (await prepared)();
    expect(delivered.map(({ position }) => position.offset)).toEqual([1, 2]);
    expect(history.recover(wanted, member('a'))).toMatchObject({ recovered: true, publications: [{ data: '2' }] });
  });
});
