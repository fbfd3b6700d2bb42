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
  const chunks = fill((chunk) => writeDirectly(handle, chunk));
  here.write('');
  if (!here.writable) throw new Error('a write in part ended its socket');
  const tail = Buffer.from('tail');
  here.write(tail);
  await expectBytes(there, [small, ...chunks, tail]);
  here.destroy();
  await setImmediate();
  if (writeSmall(handle, small) !== 'nothing') throw new Error('a closed handle took a write');
}

/** Until one is taken in part only: the same chunk again and again, because memory that is new is what costs most here. */
function fill(write: (chunk: Buffer) => string): Buffer[] {
  const bytes = Buffer.alloc(
    CHUNK_BYTES,
    Uint8Array.from({ length: 251 }, (_, index) => index),
  );
  const written: Buffer[] = [];
  while (written.length < MAX_CHUNKS) {
    const outcome = write(bytes);
    if (outcome === 'nothing') throw new Error('a large write was refused');
    written.push(bytes);
    if (outcome === 'rest') return written;
  }
  throw new Error(`a connection of which nobody reads took ${MAX_CHUNKS} MiB`);
}

async function expectBytes(socket: Socket, expected: readonly Buffer[]): Promise<void> {
  const rest = [...expected];
  for await (let part of socket as AsyncIterable<Buffer>) {
    while (part.length > 0) {
      const next = rest.shift();
      const length = Math.min(part.length, next?.length ?? 0);
      if (!next?.subarray(0, length).equals(part.subarray(0, length)))
        throw new Error('bytes came otherwise than they were written');
      part = part.subarray(length);
      if (length < next.length) rest.unshift(next.subarray(length));
    }
    if (rest.length === 0) return;
  }
  throw new Error('the connection ended before all bytes came');
}
