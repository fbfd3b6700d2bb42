import type { SendMode } from '../harness/messages.js';
import type { Wire } from '../load/wire.js';

/** A set-up that is measured. */
export interface Peer {
  /** Names it in files and on the command line. */
  readonly id: string;
  readonly name: string;
  /** The file that runs in each of its server processes. */
  readonly server: string;
  readonly wire: Wire;
  readonly mode: SendMode;
  readonly needsRedis: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Rooms whose names begin so; default `hall/`. */
  readonly room?: string;
}

const STOCK_WIRE: Wire = { isPlain: false, join: 'channel.enter', leave: 'channel.exit', recovery: 'none' };
const OUR_WIRE: Wire = { isPlain: false, join: 'realtime:join', leave: 'realtime:leave', recovery: 'positions' };
const PLAIN_WIRE: Wire = { isPlain: true, join: 'join', leave: 'leave', recovery: 'none' };

export const STOCK: Peer = {
  id: 'stock',
  name: 'Nest, IoAdapter',
  server: 'servers/stock.js',
  wire: STOCK_WIRE,
  mode: 'emit',
  needsRedis: false,
};

export const STOCK_REDIS: Peer = { ...STOCK, id: 'stock-redis', name: 'Nest, RedisIoAdapter', needsRedis: true };

export const BARE: Peer = { ...STOCK, id: 'socket.io', name: 'Socket.IO', server: 'servers/bare.js' };

export const STREAMS: Peer = {
  ...BARE,
  id: 'streams',
  name: 'Socket.IO, streams adapter, recovery',
  wire: { ...STOCK_WIRE, recovery: 'session' },
  needsRedis: true,
};

export const OURS: Peer = {
  id: 'ours',
  name: 'nestjs-realtime, emit',
  server: 'servers/ours.js',
  wire: OUR_WIRE,
  mode: 'emit',
  needsRedis: false,
};

export const OURS_PUBLISH: Peer = { ...OURS, id: 'ours-publish', name: 'nestjs-realtime, publish', mode: 'publish' };
export const OURS_REDIS: Peer = { ...OURS, id: 'ours-redis', name: 'nestjs-realtime, Redis, emit', needsRedis: true };

export const OURS_REDIS_PUBLISH: Peer = {
  ...OURS_REDIS,
  id: 'ours-redis-publish',
  name: 'nestjs-realtime, Redis, publish',
  mode: 'publish',
};

export const OURS_HISTORY: Peer = {
  ...OURS_REDIS_PUBLISH,
  id: 'ours-history',
  name: 'nestjs-realtime, Redis, history',
  env: { BENCH_HISTORY: '1' },
  room: 'log/',
};

export const BARE_DEFLATE: Peer = {
  ...BARE,
  id: 'socket.io-deflate',
  name: 'Socket.IO, perMessageDeflate',
  wire: { ...STOCK_WIRE, offersDeflate: true },
  env: { BENCH_DEFLATE: '1' },
};

export const OURS_DEFLATE: Peer = {
  ...OURS,
  id: 'ours-deflate',
  name: 'nestjs-realtime, compression',
  wire: { ...OUR_WIRE, offersDeflate: true },
  env: { BENCH_DEFLATE: '1' },
};

export const PLAIN_WS: Peer = {
  id: 'ws',
  name: 'raw ws',
  server: 'servers/plain-ws.js',
  wire: PLAIN_WIRE,
  mode: 'emit',
  needsRedis: false,
};

export const UWS: Peer = { ...PLAIN_WS, id: 'uws', name: 'uWebSockets.js', server: 'servers/uws.js' };

/** Under the name that is shorter where only one of a kind is compared. */
export function renamed(peer: Peer, name: string): Peer {
  return { ...peer, name };
}
