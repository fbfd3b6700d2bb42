import type { MemoryUse } from './usage.js';

export type ServerCommand = 'memory' | 'cpu' | 'stop';

export type ServerReport =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'memory'; readonly memory: MemoryUse }
  | { readonly kind: 'cpu'; readonly microseconds: number };

export type LoadCommand =
  | { readonly kind: 'connect'; readonly port: number; readonly connections: number }
  /** Acks at a fixed rate, spread evenly over all connections. */
  | { readonly kind: 'ask'; readonly perSecond: number; readonly seconds: number }
  | { readonly kind: 'stop' };

export type LoadReport =
  | { readonly kind: 'connected'; readonly connections: number }
  | {
      readonly kind: 'answered';
      readonly answers: number;
      readonly errors: number;
      readonly p50: number;
      readonly p99: number;
    };
