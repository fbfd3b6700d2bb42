import type { Socket as NetSocket } from 'node:net';

// The one file that knows what is below Node's streams: a small write to a TCP socket that takes it at once needs none of
// their requests, callbacks and states (decision 0030). Pinned in test/contract/engine-io.spec.ts; where it is built
// differently, callers write to the stream.

/** A request of libuv. One serves all writes that end within their call. */
type WriteRequest = object & { buffer?: Uint8Array };

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** What the last call did, in the slots of the constants beside it. */
  readonly streamBaseState: Int32Array;
  readonly kLastWriteWasAsync: number;
}

interface Bindings {
  binding(name: 'stream_wrap'): Partial<StreamBinding>;
}

/** Node's TCP and pipe handles. */
export interface StreamHandle {
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
}

interface Internals {
  readonly _handle?: StreamHandle | null;
}

/** `rest`: the kernel did not take all; what is written next has to wait behind it. `nothing`: it is still to be written. */
export type DirectWrite = 'all' | 'rest' | 'nothing';

const binding = streamBinding();
let request = binding && new binding.WriteWrap();

/** What such writes go to; undefined where they can't, as with TLS in this process. */
export function directHandle(socket: NetSocket): StreamHandle | undefined {
  const { _handle: handle } = socket as unknown as Internals;
  const isPlain = handle?.constructor.name === 'TCP' || handle?.constructor.name === 'Pipe';
  return binding && isPlain && typeof handle.writeBuffer === 'function' ? handle : undefined;
}

/** From here on the stream counts what the kernel does not take, in bytes: at most the high-water mark of a TCP socket. */
const MAX_DIRECT_BYTES = 16_384;

/** If there is a handle, and the bytes are few enough. */
export function writeSmall(handle: StreamHandle | undefined, bytes: Uint8Array): DirectWrite {
  return handle && bytes.length < MAX_DIRECT_BYTES ? writeDirectly(handle, bytes) : 'nothing';
}

/** To a handle whose stream has nothing waiting. Errors (closed, reset) are left to the stream, which meets them again. */
export function writeDirectly(handle: StreamHandle, bytes: Uint8Array): DirectWrite {
  if (!binding || !request || handle.writeBuffer(request, bytes) !== 0) return 'nothing';
  if (binding.streamBaseState[binding.kLastWriteWasAsync] === 0) return 'all';
  // libuv has the request, and reads the bytes later.
  request.buffer = bytes;
  request = new binding.WriteWrap();
  return 'rest';
}

function streamBinding(): StreamBinding | undefined {
  try {
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = (process as unknown as Bindings).binding('stream_wrap');
    const isKnown = WriteWrap && ArrayBuffer.isView(streamBaseState) && typeof kLastWriteWasAsync === 'number';
    return isKnown ? { WriteWrap, streamBaseState, kLastWriteWasAsync } : undefined;
  } catch {
    // Not allowed (Node's permission model), or gone.
    return undefined;
  }
}
