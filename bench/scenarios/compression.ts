import { BARE, BARE_DEFLATE, OURS, OURS_DEFLATE, renamed } from '../peers/peer.js';
import type { Scenario, Step } from '../scenario.js';
import { fanOut, runsOf } from './shared.js';

type Key = 'cpu' | 'bytes' | 'p99' | 'missing';

const SMALL_BYTES = 64;

export const compression: Scenario<Key> = {
  name: 'compression',
  title: 'Compressed deliveries',
  about:
    "One room, JSON records with changing values, a fixed rate; all CPU of the server process and all bytes on the wire divided by the deliveries. Clients offer permessage-deflate as browsers do to servers that have it on: Socket.IO's perMessageDeflate with a threshold of 1 024 bytes, our compression with its defaults. Events of 64 bytes show what happens to small ones.",
  plan: (settings) => {
    const seconds = settings.number('seconds', { full: 5, quick: 1 });
    const members = settings.number('members', { full: 100, quick: 10 });
    const step = (bytes: number, perSecond: number): Step => ({
      label: `${bytes.toLocaleString('en-GB')} bytes, ${(members * perSecond).toLocaleString('en-GB')}/s`,
      x: bytes,
      values: { bytes, perSecond },
    });
    const small = step(SMALL_BYTES, settings.number('small-rate', { full: 100, quick: 10 }));
    const large = step(4_096, settings.number('rate', { full: 20, quick: 10 }));
    return {
      runs: runsOf(settings),
      nodes: 1,
      peers: [BARE, BARE_DEFLATE, renamed(OURS, 'nestjs-realtime'), OURS_DEFLATE],
      steps: [small, large],
      columns: [
        { key: 'cpu', label: 'CPU µs', digits: 2, ratioTo: BARE.id },
        { key: 'bytes', label: 'wire bytes', digits: 0, ratioTo: BARE.id },
        { key: 'p99', label: 'p99 ms', digits: 2 },
        { key: 'missing', label: 'missing', digits: 4 },
      ],
      plots: [
        {
          kind: 'bars',
          title: `Server CPU of a delivery to ${members} members`,
          y: { key: 'cpu', label: 'CPU for each delivery, µs', scale: 'log' },
        },
        {
          kind: 'bars',
          title: 'Bytes on the wire of a delivery',
          y: { key: 'bytes', label: 'bytes for each delivery', scale: 'log' },
        },
      ],
      prepare: async ({ load, ports, room }) => {
        await load.ask({ kind: 'connect', ports, connections: members, room, rooms: 1 }, 'connected');
      },
      measure: async (session, { values = {} }) => {
        const { bytes = SMALL_BYTES, perSecond = 1 } = values;
        const load = { rooms: 1, members, perSecond, bytes, content: 'records' } as const;
        await fanOut(session, { ...load, seconds: 1 });
        const { cpu, deliveries, wireBytes, p99, missing } = await fanOut(session, { ...load, seconds });
        return { cpu: cpu / deliveries, bytes: wireBytes / deliveries, p99, missing };
      },
      checks: (results) => {
        const ratio = (key: Key, at: Step, peer: string): number =>
          results.at(OURS_DEFLATE.id, at, key) / results.at(peer, at, key);
        return [
          { what: `${large.label}: bytes, of those without`, value: ratio('bytes', large, OURS.id), atMost: 0.4 },
          { what: `${large.label}: CPU, of that without`, value: ratio('cpu', large, OURS.id), atMost: 1.3 },
          {
            what: `${large.label}: CPU, of perMessageDeflate`,
            value: ratio('cpu', large, BARE_DEFLATE.id),
            atMost: 0.25,
          },
          { what: `${small.label}: bytes, of those without`, value: ratio('bytes', small, OURS.id), atMost: 1 },
          { what: `${small.label}: CPU, of that without`, value: ratio('cpu', small, OURS.id), atMost: 1.15 },
        ].filter(({ value }) => Number.isFinite(value));
      },
    };
  },
};
