import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { directHandle, writeDirectly, writeSmall } from '../direct-write.js';
import type { Trial } from './prove-internals.js';

const CHUNK_BYTES = 1_048_576;
/** More than any kernel keeps for a connection of which nobody reads; three are usual. */
const MAX_CHUNKS = 64;

/** Direct writes on a connection of its own: taken, taken in part, refused. */
export const writeTrial: Trial = {
  covers: ['directWrites'],
  run: async (internals, signal) => {
    if (!internals.directWrites) return;
    const listener = createServer().listen({ port: 0, host: '127.0.0.1', exclusive: true });
    const ends: Socket[] = [];
    // A reset is what the other end sees of a destroyed socket, and nobody else listens to it.
    const keep = (end: Socket): void => void ends.push(end.on('error', () => undefined));
    const close = (): void => {
      for (const end of ends) end.destroy();
      listener.close();
    };
    signal.addEventListener('abort', close, { once: true });
    try {
      await once(listener, 'listening');
      const there = connect((listener.address() as AddressInfo).port, '127.0.0.1');
      keep(there);
      const [here] = (await once(listener, 'connection')) as [Socket];
      keep(here);
      await tryWrites(here, there);
    } finally {
      close();
    }
  },
};

async function tryWrites(here: Socket, there: Socket): Promise<void> {
  const handle = directHandle(here);
  if (!handle) throw new Error('Node does not say what is below a socket');
  const small = Buffer.from('small');
  if (writeSmall(handle, small) !== 'all') throw new Error('a small write was not taken');
  if (here.bytesWritten !== small.length) throw new Error('a small write was not counted');
  // Nobody reads yet.
  there.pause();
  const sent = [small, ...chunks((chunk) => writeDirectly(handle, chunk))];
  here.write('');
  if (!here.writable) throw new Error('a write in part ended its socket');
  const tail = Buffer.from('tail');
  here.write(tail);
  const expected = Buffer.concat([...sent, tail]);
  if (!(await received(there, expected.length)).equals(expected))
    throw new Error('bytes came otherwise than they were written');
  here.destroy();
  await setImmediate();
  if (writeSmall(handle, small) !== 'nothing') throw new Error('a closed handle took a write');
}

/** Until one is taken in part only. */
function chunks(write: (chunk: Buffer) => string): Buffer[] {
  const all: Buffer[] = [];
  while (all.length < MAX_CHUNKS) {
    const chunk = Buffer.alloc(CHUNK_BYTES, all.length + 1);
    const outcome = write(chunk);
    if (outcome === 'nothing') throw new Error('a large write was refused');
    all.push(chunk);
    if (outcome === 'rest') return all;
  }
  throw new Error(`a connection of which nobody reads took ${MAX_CHUNKS} MiB`);
}

async function received(socket: Socket, count: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of socket as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.length;
    if (length >= count) break;
  }
  return Buffer.concat(parts);
}
