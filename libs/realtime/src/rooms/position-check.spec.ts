import type { Incarnation } from '../core/ids.js';
import { noMetrics } from '../core/metrics.js';
import { RecentPublications } from '../history/recent-publications.js';
import type { LogState, RoomLog } from '../history/room-log.js';
import { MemoryBus } from '../memory/memory-bus.js';
import { MemoryHub } from '../memory/memory-hub.js';
import { MemoryPresenceStore } from '../memory/memory-presence-store.js';
import { MemoryRoomLog } from '../memory/memory-room-log.js';
import { NodePresence } from '../presence/node-presence.js';
import { ManualClock } from '../testing/manual-clock.js';
import { HostedHistory } from './hosted-history.js';
import { HostedRooms } from './hosted-rooms.js';
import { PositionCheck } from './position-check.js';
import { encodeRoomMessage } from './room-message.js';
import type { NumberedMessage } from './room-recovery.js';

const RETENTION = { size: 100, ttlMs: 3_600_000 };

/** A log of which a test takes rooms away. */
class PartialLog implements Pick<RoomLog, 'states' | 'read'> {
  readonly away = new Set<string>();
  readonly asked: string[][] = [];
  readonly read: MemoryRoomLog['read'];

  constructor(private readonly log: MemoryRoomLog) {
    this.read = log.read.bind(log);
  }

  states(rooms: Parameters<RoomLog['states']>[0]): Promise<LogState[]> {
    this.asked.push(rooms.map(({ room }) => room));
    if (rooms.some(({ room }) => this.away.has(room))) return Promise.reject(new Error('away'));
    return this.log.states(rooms);
  }
}

async function start(names: readonly string[]) {
  const clock = new ManualClock();
  const hub = new MemoryHub();
  const [bus, far] = [new MemoryBus(hub), new MemoryBus(hub)];
  const truth = new MemoryRoomLog(far, clock);
  const log = new PartialLog(truth);
  const store = new MemoryPresenceStore({ clock, publish: () => undefined });
  const presence = new NodePresence({
    ...{ store, clock, metrics: noMetrics, onTransition: () => undefined },
    incarnations: { current: () => 'n' as Incarnation, onChange: () => () => undefined },
  });
  const delivered: string[] = [];
  const recent = new RecentPublications<NumberedMessage>(1_000_000);
  const hosted = new HostedRooms({
    ...{ bus, clock, metrics: noMetrics, nodeId: 'n', lingerMs: 0, broadcast: { deliver: () => undefined } },
    hasMembers: () => true,
    createPresence: () => undefined,
    createHistory: (room) =>
      new HostedHistory(room, RETENTION, {
        ...{ log, clock, metrics: noMetrics, recent, tell: () => undefined },
        deliver: (_room, { position }) => delivered.push(`${room} ${position.offset}`),
      }),
  });
  const check = new PositionCheck({ bus, store, log, hosted, presence, clock, onError: () => undefined });
  await Promise.all(names.map((name) => hosted.hold(name)));
  log.asked.length = 0;
  const publish = (room: string, id: string) =>
    truth.publish({
      ...{ room, publisher: 'x', id, retention: RETENTION },
      text: encodeRoomMessage({ room, event: 'e', data: id, id }),
    });
  return { clock, bus, log, check, hosted, delivered, publish };
}

describe('when the connection to the cluster was lost and is back', () => {
  it('asks for all rooms in one turn, and reads what did not arrive', async () => {
    const { clock, bus, log, delivered, publish } = await start(['a', 'b', 'c']);
    bus.setState('down');
    await publish('a', '1');
    await publish('c', '1');
    await clock.advanceAsync(0);
    bus.setState('up');
    await clock.advanceAsync(0);
    expect(log.asked).toEqual([['a', 'b', 'c']]);
    expect(delivered.sort()).toEqual(['a 1', 'c 1']);
  });

  it('tries again with pauses what cannot be asked, and does not hold up the others', async () => {
    const { clock, bus, log, delivered, publish } = await start(['a', 'b']);
    bus.setState('down');
    log.away.add('a');
    await publish('a', '1');
    await publish('b', '1');
    await clock.advanceAsync(0);
    bus.setState('up');
    await clock.advanceAsync(0);
    expect(delivered).toEqual(['b 1']);
    log.away.clear();
    await clock.advanceAsync(5_000);
    expect(delivered).toEqual(['b 1', 'a 1']);
    const { length } = log.asked;
    await clock.advanceAsync(60_000);
    expect(log.asked).toHaveLength(length);
  });
});

describe('when a last message was lost', () => {
  it('is healed by the next check, once the message cannot be on its way any more', async () => {
    const { clock, bus, check, delivered, publish, hosted } = await start(['a', 'user/ada']);
    await bus.unsubscribe('{a}:ch');
    await publish('a', '1');
    await check.run();
    await clock.advanceAsync(999);
    expect(delivered).toEqual([]);
    await clock.advanceAsync(1);
    expect(delivered).toEqual(['a 1']);
    check.close();
    hosted.close();
  });

  it('asks nothing about a user room that nobody spoke in', async () => {
    const { log, check } = await start(['user/ada']);
    await check.run();
    expect(log.asked).toEqual([]);
  });
});
