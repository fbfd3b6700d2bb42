import { setTimeout } from 'node:timers/promises';
import type { LoadCommand, LoadReport } from '../harness/messages.js';
import { RawClient } from './raw-client.js';

/** The client process: holds connections and asks at a fixed rate. Ends with the benchmark that started it. */
const BATCH = 50;
const TICK_MS = 5;
const LAST_ANSWERS_MS = 2_000;
const TEXT = 'The quick brown fox jumps over the lazy dog, as always.';

const clients: RawClient[] = [];
const tell = (report: LoadReport): void => void process.send?.(report);

async function connect(port: number, count: number): Promise<void> {
  const goal = clients.length + count;
  while (clients.length < goal) {
    const first = clients.length;
    const batch = Array.from({ length: Math.min(BATCH, goal - first) }, (_, index) =>
      RawClient.connect(port, `user-${first + index}`),
    );
    clients.push(...(await Promise.all(batch)));
  }
  tell({ kind: 'connected', connections: clients.length });
}

async function ask(perSecond: number, seconds: number): Promise<void> {
  const latencies: number[] = [];
  let errors = 0;
  let sent = 0;
  const startedAt = performance.now();
  const total = perSecond * seconds;
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) * perSecond) / 1_000));
    for (; sent < due; sent += 1) {
      const sentAt = performance.now();
      clients[sent % clients.length]?.ask('message.send', { room: 'lobby', text: TEXT }, (isError) => {
        latencies.push(performance.now() - sentAt);
        if (isError) errors += 1;
      });
    }
    await setTimeout(TICK_MS);
  }
  const giveUpAt = performance.now() + LAST_ANSWERS_MS;
  while (latencies.length < sent && performance.now() < giveUpAt) await setTimeout(TICK_MS);
  latencies.sort((a, b) => a - b);
  const quantile = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN;
  tell({ kind: 'answered', answers: latencies.length, errors, p50: quantile(0.5), p99: quantile(0.99) });
}

async function run(command: LoadCommand): Promise<void> {
  switch (command.kind) {
    case 'connect':
      return connect(command.port, command.connections);
    case 'ask':
      return ask(command.perSecond, command.seconds);
    case 'stop':
      await Promise.all(clients.splice(0).map((client) => client.close()));
      return process.disconnect();
    default:
      return command satisfies never;
  }
}

process.on('message', (command: LoadCommand) => {
  run(command).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
process.once('disconnect', () => process.exit());
