import type { RoomStatus } from 'nestjs-realtime-protocol';
import type { Cancel, Clock } from '../core/clock.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { RoomMember } from './room-member.js';
import { PolicyRefusal } from './room-policies.js';
import type { JoinDecision } from './room-policy.js';

export interface PolicyRechecksDeps {
  readonly clock: Clock;
  /** The policy has refused, or has not answered for too long. */
  readonly onEnd: (member: RoomMember, room: string, code: 'FORBIDDEN' | 'UNAVAILABLE') => void;
  /** The policy failed, which is no answer. Called for each pattern once a minute at most. */
  readonly onError: (error: unknown, member: RoomMember) => void;
}

/** One membership that a policy has allowed for a time. */
export interface Recheck {
  readonly member: RoomMember;
  readonly room: string;
  /** Of the policy. */
  readonly pattern: string;
  /** Of the question that was answered; see `nextQuestion`. */
  readonly question: number;
  /** Asks again. A refusal rejects as `askToJoin` does, and everything else that rejects is a failure. */
  readonly ask: () => Promise<JoinDecision>;
}

interface Entry extends Recheck {
  readonly everyMs: number;
  question: number;
  /** Of the next thing to do: there is always exactly one. */
  cancel: Cancel;
  /** The clock's `now()` at which nobody waits for an answer any more; undefined while none is due. */
  endsAt: number | undefined;
  failures: number;
}

/** How long a membership outlives its answer while the policy gives no other one: 10 times as long as that held, in milliseconds. */
const PATIENCE = 10;
const MAX_PATIENCE_MS = 600_000;
/** Milliseconds between two questions to a policy that fails: from the first to the last. */
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 30_000;
const REPORT_EVERY_MS = 60_000;

/**
 * Asks policies again whose answer held for a time only. An error is no answer: the member stays, and the policy is asked
 * again with backoff. Invariant: a membership has one entry with one timer, which a later join replaces, and none once it has ended.
 */
export class PolicyRechecks {
  private readonly entries = new Map<RoomMember, Map<string, Entry>>();
  private readonly reportedAt = new Map<string, number>();
  private questions = 0;

  constructor(private readonly deps: PolicyRechecksDeps) {}

  /** Numbers questions in the order in which they are asked: an answer does not undo that to a later question. */
  nextQuestion(): number {
    return (this.questions += 1);
  }

  /** In place of what was agreed before. `expiresInMs` 0 or absent: never asked again. */
  set(recheck: Recheck, expiresInMs: number | undefined): void {
    const { member, room } = recheck;
    this.cancel(member, room);
    if (!expiresInMs || !(expiresInMs > 0)) return;
    const entry: Entry = { ...recheck, everyMs: expiresInMs, endsAt: undefined, failures: 0, cancel: () => undefined };
    const rooms = this.entries.get(member) ?? new Map<string, Entry>();
    this.entries.set(member, rooms.set(room, entry));
    this.arm(entry, expiresInMs);
  }

  /** The membership has ended. */
  cancel(member: RoomMember, room: string): void {
    const rooms = this.entries.get(member);
    rooms?.get(room)?.cancel();
    if (rooms?.delete(room) && rooms.size === 0) this.entries.delete(member);
  }

  cancelAll(member: RoomMember): void {
    for (const { cancel } of this.entries.get(member)?.values() ?? []) cancel();
    this.entries.delete(member);
  }

  private arm(entry: Entry, delayMs: number): void {
    entry.cancel = this.deps.clock.after(delayMs, () => this.ask(entry));
  }

  private ask(entry: Entry): void {
    const { clock, onEnd } = this.deps;
    const { member, room } = entry;
    const now = clock.now();
    entry.endsAt ??= now + Math.min(PATIENCE * entry.everyMs, MAX_PATIENCE_MS);
    if (now >= entry.endsAt) return onEnd(member, room, 'UNAVAILABLE');
    entry.question = this.nextQuestion();
    // A policy may also say nothing at all.
    entry.cancel = clock.after(entry.endsAt - now, () => onEnd(member, room, 'UNAVAILABLE'));
    entry.ask().then(
      ({ expiresInMs }) => {
        if (this.holds(entry)) this.set(entry, expiresInMs);
      },
      (error: unknown) => (isRefusal(error) ? this.refused(entry) : this.failed(entry, error)),
    );
  }

  private refused(entry: Entry): void {
    const { member, room, question } = entry;
    const holding = this.entries.get(member)?.get(room);
    if (holding && question >= holding.question) this.deps.onEnd(member, room, 'FORBIDDEN');
  }

  private failed(entry: Entry, error: unknown): void {
    const { clock, onError } = this.deps;
    const now = clock.now();
    if (!this.holds(entry)) return;
    if (now - (this.reportedAt.get(entry.pattern) ?? -Infinity) >= REPORT_EVERY_MS) {
      this.reportedAt.set(entry.pattern, now);
      onError(error, entry.member);
    }
    entry.cancel();
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** entry.failures, LAST_PAUSE_MS, entry.everyMs);
    entry.failures += 1;
    // Half of it is random: members that came together do not ask together.
    const leftMs = Math.max((entry.endsAt ?? now) - now, 0);
    this.arm(entry, Math.min(pauseMs * (0.5 + Math.random() / 2), leftMs));
  }

  private holds(entry: Entry): boolean {
    return this.entries.get(entry.member)?.get(entry.room) === entry;
  }
}

/** Whether a policy has said no. Everything else that it throws is a failure: it has said nothing. */
function isRefusal(error: unknown): boolean {
  return error instanceof PolicyRefusal || (error instanceof RealtimeError && !error.retryable);
}

/** What a member is told whose policy was asked again: `UNAVAILABLE` if it did not answer, and then it may join again. */
export function endOf(code: string): Omit<RoomStatus, 'room'> {
  return { status: 'kicked', code, ...(code === 'UNAVAILABLE' ? { retryable: true } : {}) };
}
