import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { directHandle, writeDirectly, type StreamHandle } from './direct-write.js';

const NOTHING = Buffer.alloc(0);

/** Both ends of a TCP connection. */
async function pair(): Promise<{ here: Socket; there: Socket } & AsyncDisposable> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const there = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [here] = (await once(server, 'connection')) as [Socket];
  return {
    here,
    there,
    async [Symbol.asyncDispose]() {
      here.destroy();
      there.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function received(socket: Socket, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < count) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    chunks.push(chunk);
    length += chunk.length;
  }
  return Buffer.concat(chunks);
}

const handleOf = (socket: Socket): StreamHandle => directHandle(socket) as StreamHandle;

describe('a direct write', () => {
  it('is sent before it returns, and keeps its place among those of the stream', async () => {
    await using ends = await pair();
    const { here, there } = ends;
    for (const [count, text] of ['one ', 'two ', 'three ', 'four'].entries()) {
      if (count % 2 === 0) expect(writeDirectly(handleOf(here), Buffer.from(text))).toBe('all');
      else here.write(text);
    }
    expect(here.bytesWritten).toBe(18);
    expect(String(await received(there, 18))).toBe('one two three four');
  });

  it('says when there is a rest, which leaves before all that the stream gets after it', async () => {
    await using ends = await pair();
    const { here, there } = ends;
    there.pause();
    const sent: Buffer[] = [];
    let outcome = 'all';
    while (outcome === 'all') {
      const bytes = Buffer.alloc(10_000, sent.length);
      outcome = writeDirectly(handleOf(here), bytes);
      sent.push(bytes);
    }
    expect(outcome).toBe('rest');
    const settled = new Promise((resolve) => here.write(NOTHING, resolve));
    here.write('behind');
    expect(here.writableLength).toBe(6);
    sent.push(Buffer.from('behind'));
    const expected = Buffer.concat(sent);
    const all = received(there, expected.length);
    there.resume();
    expect((await all).equals(expected)).toBe(true);
    await settled;
    expect(here.writableLength).toBe(0);
    // And the request that had the rest is not used again.
    expect(writeDirectly(handleOf(here), Buffer.from('after'))).toBe('all');
    expect(String(await received(there, 5))).toBe('after');
  });

  it('leaves the error of a connection that is gone to the stream', async () => {
    await using ends = await pair();
    const { here } = ends;
    const handle = handleOf(here);
    here.destroy();
    expect(writeDirectly(handle, Buffer.from('x'))).toBe('nothing');
    await once(here, 'close');
    expect(writeDirectly(handle, Buffer.from('x'))).toBe('nothing');
    expect(directHandle(here)).toBeUndefined();
  });

  it('of which the kernel had not taken all, is dropped with its connection', async () => {
    await using ends = await pair();
    const { here, there } = ends;
    there.pause();
    while (writeDirectly(handleOf(here), Buffer.alloc(10_000)) === 'all');
    const settled = new Promise((resolve) => here.write(NOTHING, resolve));
    here.destroy();
    await once(here, 'close');
    await settled;
  });
});
