import jwt from 'jsonwebtoken';
import { monotonicMicros } from '../clock.js';
import { BENCH_SECRET, USERS } from '../harness/tokens.js';
import type { Client } from './client.js';
import { Member } from './member.js';
import { Meter } from './meter.js';
import { AT_OFFSET, MESSAGE, type Wire } from './wire.js';

/** Connects that are under way at a time. */
const BATCH = 50;
const TOKEN_SECONDS = 86_400;
const [FIRST_LETTER, DIGIT_0, DIGIT_9] = [MESSAGE.charCodeAt(0), 0x30, 0x39];
/** Where an event's name begins: `42["`. */
const NAME_OFFSET = 4;

export interface Rooms {
  readonly room: string;
  readonly rooms: number;
}

/** All clients of the load process, and what arrives at them. */
export class Crowd {
  readonly members: Member[] = [];
  /** Connections that the server has ended. */
  lost = 0;
  deliveries = 0;
  /** Of the deliveries, as they came over the wire. */
  bytes = 0;
  meter = new Meter();
  /** Reads each message: for few of them only. */
  isFollowing = false;
  /** So far. */
  private guests = 0;
  private readonly byClient = new WeakMap<Client, Member>();

  constructor(private readonly wire: Wire) {}

  /** Resolves with the seconds it took, without signing the tokens. */
  async connect(ports: readonly number[], count: number, rooms?: Rooms): Promise<number> {
    const first = this.guests;
    this.guests += count;
    const tokens = Array.from({ length: count }, (_, index) => signToken(`user-${(first + index) % USERS}`));
    const startedAt = performance.now();
    const queue = tokens.map((token, index) => ({ token, index: first + index }));
    await inBatches(queue, async ({ token, index }) => {
      const member = new Member(portOf(ports, index), this.wire, token, {
        event: (client, chunk, start, end) => this.count(client, chunk, { start, end }),
        lost: () => (this.lost += 1),
      });
      this.byClient.set(member.client, member);
      this.members.push(member);
      await member.opened();
      if (rooms) await member.join(roomOf(rooms, index));
    });
    return (performance.now() - startedAt) / 1_000;
  }

  close(count: number): void {
    for (const member of this.members.splice(Math.max(0, this.members.length - count))) member.client.close();
  }

  /** From now on; `samples` members are timed. */
  watch(samples: number): void {
    this.deliveries = 0;
    this.bytes = 0;
    this.meter = new Meter();
    const every = Math.max(1, Math.floor(this.members.length / samples));
    this.members.forEach((member, index) => (member.isSampled = index % every === 0));
  }

  cut(): void {
    for (const { client } of this.members) client.reset();
  }

  async comeBack(member: Member, port: number): Promise<void> {
    const back = member.comeBack(port);
    this.byClient.set(member.client, member);
    await back;
  }

  private count(client: Client, chunk: Buffer, { start, end }: { start: number; end: number }): void {
    if (chunk[start + NAME_OFFSET] !== FIRST_LETTER) return;
    this.deliveries += 1;
    this.bytes += client.frameBytes;
    const member = this.byClient.get(client);
    if (!member) return;
    if (member.isSampled) this.meter.record(monotonicMicros() - readNumber(chunk, start + AT_OFFSET));
    if (this.isFollowing) member.follow(chunk.toString('utf8', start + 2, end));
  }
}

export function portOf(ports: readonly number[], index: number): number {
  return ports[index % ports.length] ?? 0;
}

function roomOf({ room, rooms }: Rooms, index: number): string {
  return `${room}${index % rooms}`;
}

/** At most `BATCH` at a time. */
export async function inBatches<Item>(items: Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: BATCH }, worker));
}

function signToken(user: string): string {
  return jwt.sign({ sub: user, roles: ['member'], scope: 'chat' }, BENCH_SECRET, { expiresIn: TOKEN_SECONDS });
}

function readNumber(chunk: Buffer, start: number): number {
  let value = 0;
  for (let at = start; ; at += 1) {
    const digit = chunk[at] ?? 0;
    if (digit < DIGIT_0 || digit > DIGIT_9) return value;
    value = value * 10 + digit - DIGIT_0;
  }
}
