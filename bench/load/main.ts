import { setTimeout } from 'node:timers/promises';
import type { LoadCommand, LoadReport } from '../harness/messages.js';
import { monotonicMicros } from '../clock.js';
import { isErrorAck } from './client.js';
import { Crowd, inBatches, portOf } from './crowd.js';
import type { Member } from './member.js';
import { Meter } from './meter.js';
import { WIRE_VARIABLE, type Wire } from './wire.js';

/** The client process: holds connections, asks and counts. Ends with the benchmark that started it. */
const TICK_MS = 1;
const POLL_MS = 20;
/** Nothing more comes after so long a silence. */
const SILENCE_MS = 1_500;
const RETURN_WITHIN_MS = 60_000;
const SAMPLES = 25;
const TEXT = 'The quick brown fox jumps over the lazy dog, as always.';

const wire = JSON.parse(process.env[WIRE_VARIABLE] ?? '{}') as Wire;
const crowd = new Crowd(wire);

type Ask = (member: Member, done: (text: string) => void) => void;

async function ask(perSecond: number, seconds: number, send: Ask): Promise<LoadReport> {
  const meter = new Meter();
  const total = perSecond * seconds;
  let [sent, answers, errors] = [0, 0, 0];
  const startedAt = monotonicMicros();
  const dueAt = (index: number): number => startedAt + (index * 1_000_000) / perSecond;
  while (sent < total) {
    for (const now = monotonicMicros(); sent < total && dueAt(sent) <= now; sent += 1) {
      const member = crowd.members[sent % crowd.members.length];
      if (!member) throw new Error('Nobody is connected');
      const due = dueAt(sent);
      send(member, (text) => {
        meter.record(monotonicMicros() - due);
        answers += 1;
        if (text === '' || isErrorAck(text)) errors += 1;
      });
    }
    await setTimeout(TICK_MS);
  }
  await settled(() => answers, total);
  return { kind: 'answered', answers, errors, ...meter.latency() };
}

/** Resolves when `count` has come to `goal`, or to rest. */
async function settled(count: () => number, goal: number, silenceMs = SILENCE_MS): Promise<void> {
  let last = count();
  let since = performance.now();
  while (count() < goal && performance.now() - since < silenceMs) {
    await setTimeout(POLL_MS);
    if (count() === last) continue;
    last = count();
    since = performance.now();
  }
}

async function comeBack(command: Extract<LoadCommand, { kind: 'return' }>): Promise<LoadReport> {
  const { ports, overMs, missed } = command;
  const startedAt = performance.now();
  const { members } = crowd;
  const goal = Math.max(...members.map(({ lastNumber }) => lastNumber)) + missed;
  const queue = members.map((member, index) => ({
    member,
    port: portOf(ports, index),
    atMs: (index * overMs) / members.length,
  }));
  await inBatches(queue, async ({ member, port, atMs }) => {
    const wait = atMs - (performance.now() - startedAt);
    if (wait > 0) await setTimeout(wait);
    await crowd.comeBack(member, port);
  });
  const complete = (): number => members.filter((member) => member.hasAll(goal)).length;
  await settled(complete, members.length, Math.min(SILENCE_MS, RETURN_WITHIN_MS));
  const recovered = members.filter(({ isRecovered }) => isRecovered).length;
  return { kind: 'returned', recovered, complete: complete(), seconds: (performance.now() - startedAt) / 1_000 };
}

async function run(command: LoadCommand): Promise<LoadReport> {
  switch (command.kind) {
    case 'connect': {
      const { ports, connections, room, rooms = 1 } = command;
      const seconds = await crowd.connect(ports, connections, room === undefined ? undefined : { room, rooms });
      return { kind: 'connected', connections: crowd.members.length, seconds };
    }
    case 'close':
      crowd.close(command.connections);
      return { kind: 'closed' };
    case 'ask':
      return ask(command.perSecond, command.seconds, ({ client }, done) =>
        client.ask('message.send', { room: 'lobby', text: TEXT }, done),
      );
    case 'churn': {
      const inside = new Set<Member>();
      return ask(command.perSecond, command.seconds, (member, done) => {
        const event = inside.delete(member) ? wire.leave : wire.join;
        if (event === wire.join) inside.add(member);
        member.client.ask(event, { room: command.room }, done);
      });
    }
    case 'watch':
      crowd.isFollowing = command.isFollowing === true;
      crowd.watch(command.samples ?? SAMPLES);
      return { kind: 'watching' };
    case 'collect': {
      await settled(() => crowd.deliveries, command.expected);
      const { deliveries, bytes, lost, meter } = crowd;
      return { kind: 'collected', deliveries, bytes, lost, busy: meter.busy(), ...meter.latency() };
    }
    case 'cut':
      crowd.cut();
      return { kind: 'cut' };
    case 'return':
      return comeBack(command);
    default:
      return command satisfies never;
  }
}

process.on('message', (command: LoadCommand) => {
  run(command)
    .then((report) => process.send?.(report))
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
});
process.once('disconnect', () => process.exit());
