import type { MemoryUse } from './usage.js';

/** How server code sends to a room: Socket.IO's own emit, or the library's publications. */
export type SendMode = 'emit' | 'publish';

/** One letter over and over, or records with changing values, as apps send them. */
export type Content = 'padding' | 'records';

export type ServerCommand =
  | { readonly kind: 'memory' }
  | { readonly kind: 'cpu' }
  | { readonly kind: 'start-profile' }
  | { readonly kind: 'stop-profile'; readonly path: string }
  /** To `rooms` rooms in turn, at a fixed rate. */
  | {
      readonly kind: 'publish';
      readonly mode: SendMode;
      readonly room: string;
      readonly rooms: number;
      readonly perSecond: number;
      readonly seconds: number;
      readonly bytes: number;
      /** What they are made of. Default: padding. */
      readonly content?: Content;
    }
  /** As fast as they are taken: each room gets `count`, numbered from 1 on. */
  | {
      readonly kind: 'publish-numbered';
      readonly mode: SendMode;
      readonly room: string;
      readonly rooms: number;
      readonly count: number;
    };

export type ServerReport =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'memory'; readonly memory: MemoryUse }
  | { readonly kind: 'cpu'; readonly microseconds: number }
  | { readonly kind: 'profiled' }
  | { readonly kind: 'published'; readonly publications: number; readonly failures: number; readonly seconds: number };

export type LoadCommand =
  /** More connections, round the ports; with `room` each joins one of `rooms` rooms. */
  | {
      readonly kind: 'connect';
      readonly ports: readonly number[];
      readonly connections: number;
      readonly room?: string | undefined;
      readonly rooms?: number | undefined;
    }
  /** Closes the newest connections. */
  | { readonly kind: 'close'; readonly connections: number }
  /** Requests at a fixed rate, spread evenly over all connections. */
  | { readonly kind: 'ask'; readonly perSecond: number; readonly seconds: number }
  /** As `ask`, but each connection leaves the room or joins it again. */
  | { readonly kind: 'churn'; readonly perSecond: number; readonly seconds: number; readonly room: string }
  /** Starts to count what arrives. */
  | {
      readonly kind: 'watch';
      /** Connections whose deliveries are timed. Default 25. */
      readonly samples?: number;
      /** Read each message, so that what is missing or doubled is known: for few of them. */
      readonly isFollowing?: boolean;
    }
  /** What has arrived, once it is `expected` or nothing more comes. */
  | { readonly kind: 'collect'; readonly expected: number }
  /** Every connection is reset, and remembers where it was. */
  | { readonly kind: 'cut' }
  /** All come back, evenly over `overMs`, and wait for what each of them has missed. */
  | {
      readonly kind: 'return';
      readonly ports: readonly number[];
      readonly overMs: number;
      readonly missed: number;
    };

export type LoadReport =
  | { readonly kind: 'connected'; readonly connections: number; readonly seconds: number }
  | { readonly kind: 'closed' }
  | ({ readonly kind: 'answered'; readonly answers: number; readonly errors: number } & Latency)
  | { readonly kind: 'watching' }
  | ({
      readonly kind: 'collected';
      readonly deliveries: number;
      /** Of the deliveries, as they came over the wire. */
      readonly bytes: number;
      /** Connections that the server has ended so far. */
      readonly lost: number;
      /** Share of one core that the load process itself used: near 1 it measures itself. */
      readonly busy: number;
    } & Latency)
  | { readonly kind: 'cut' }
  | {
      readonly kind: 'returned';
      /** Connections that were told `recovered: true`. */
      readonly recovered: number;
      /** Connections that have got all that they missed, once and in order. */
      readonly complete: number;
      readonly seconds: number;
    };

/** In milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}
