import type { Clock } from '../core/clock.js';
import type { Passage, WireCommand } from './wire-client.js';
import { reconnectDelayMs } from './wire-client.js';

/** Why a command was not carried out, and may be tried again. */
export type Setback =
  /** The slot is elsewhere by now, as is known already: again at once. */
  | { kind: 'moved' }
  /** This one command belongs to `to`, until the slot's migration ends: again at once. */
  | { kind: 'ask'; to: string }
  /** The slot has no master, or its keys are on both sides of a migration: again after a pause. */
  | { kind: 'wait' };

export interface SlotLanesOptions {
  readonly clock: Clock;
  /** Sends once: to the slot's master, or with `askedOf` to the server that is importing the slot. */
  attempt(slot: number, command: WireCommand, askedOf: string | undefined): Promise<unknown>;
  /** Undefined: the answer of this error is final. */
  setbackOf(error: unknown, slot: number): Setback | undefined;
}

interface Car {
  /** Order of the calls. */
  readonly nth: number;
  readonly command: WireCommand;
  readonly passage: Passage;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
  askedOf: string | undefined;
}

interface Lane {
  onTheWay: number;
  /** In order of the calls. While there are any, nothing new is sent. */
  held: Car[];
  /** Pauses since the last success. */
  pauses: number;
  /** Times that held commands went out again since then. */
  rounds: number;
  mustPause: boolean;
  isPausing: boolean;
}

/** Servers that send us to each other get a pause after so many times. */
const MAX_ROUNDS = 5;

const newLane = (): Lane => ({ onTheWay: 0, held: [], pauses: 0, rounds: 0, mustPause: false, isPausing: false });

/**
 * Commands of a Redis Cluster, each in the lane of its slot. As long as all goes well a lane is a count and nothing else.
 * After a setback the lane stops: all that is on the way comes back first, then what failed goes out again in the order
 * of the calls, until the callers give up. Refuses to try again what may have been carried out.
 * Invariant: no command of a slot is sent while an earlier one of that slot is held.
 */
export class SlotLanes {
  readonly #options: SlotLanesOptions;
  readonly #lanes = new Map<number, Lane>();
  #calls = 0;
  #isClosed = false;

  constructor(options: SlotLanesOptions) {
    this.#options = options;
  }

  send(slot: number, command: WireCommand, passage: Passage): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new Error('the connection was closed'));
      const lane = this.#lanes.get(slot) ?? newLane();
      this.#lanes.set(slot, lane);
      const car: Car = { nth: (this.#calls += 1), command, passage, resolve, reject, askedOf: undefined };
      if (lane.held.length > 0) return this.#hold(lane, car);
      this.#launch(slot, lane, car);
    });
  }

  /** Refuses all that is held. */
  close(error: Error): void {
    this.#isClosed = true;
    for (const lane of this.#lanes.values()) for (const { reject } of lane.held.splice(0)) reject(error);
  }

  /** Something has changed for the better: who pauses need not. */
  hurry(): void {
    for (const [slot, lane] of this.#lanes) {
      if (!lane.isPausing) continue;
      lane.isPausing = false;
      lane.mustPause = false;
      this.#next(slot, lane);
    }
  }

  #hold(lane: Lane, car: Car): void {
    car.passage.isWritten = false;
    const at = lane.held.findIndex(({ nth }) => nth > car.nth);
    lane.held.splice(at === -1 ? lane.held.length : at, 0, car);
  }

  #launch(slot: number, lane: Lane, car: Car): void {
    lane.onTheWay += 1;
    car.passage.isWritten = true;
    const { askedOf } = car;
    car.askedOf = undefined;
    this.#options.attempt(slot, car.command, askedOf).then(
      (reply) => {
        lane.pauses = 0;
        lane.rounds = 0;
        car.resolve(reply);
        this.#back(slot, lane);
      },
      (error: unknown) => {
        this.#failed(slot, lane, { car, error });
        this.#back(slot, lane);
      },
    );
  }

  #failed(slot: number, lane: Lane, { car, error }: { car: Car; error: unknown }): void {
    const setback = this.#isClosed ? undefined : this.#options.setbackOf(error, slot);
    if (setback === undefined) return car.reject(error);
    if (setback.kind === 'ask') car.askedOf = setback.to;
    if (setback.kind === 'wait') lane.mustPause = true;
    this.#hold(lane, car);
  }

  #back(slot: number, lane: Lane): void {
    lane.onTheWay -= 1;
    if (lane.onTheWay === 0) this.#next(slot, lane);
  }

  #next(slot: number, lane: Lane): void {
    if (lane.onTheWay > 0 || lane.isPausing) return;
    if (lane.held.length === 0) return void this.#lanes.delete(slot);
    lane.held = lane.held.filter((car) => {
      if (car.passage.isOver) car.reject(new Error('the caller gave up'));
      return !car.passage.isOver;
    });
    const [first] = lane.held;
    if (first === undefined) return void this.#lanes.delete(slot);
    lane.rounds += 1;
    if (lane.mustPause || lane.rounds > MAX_ROUNDS) return this.#pause(slot, lane);
    // After a pause one alone looks whether it can go on; else all that have the same way, in one go.
    const isScout = lane.pauses > 0;
    const end = isScout ? 1 : lane.held.findIndex(({ askedOf }) => askedOf !== first.askedOf);
    for (const car of lane.held.splice(0, end === -1 ? lane.held.length : end)) this.#launch(slot, lane, car);
  }

  #pause(slot: number, lane: Lane): void {
    lane.isPausing = true;
    lane.rounds = 0;
    // Short at first: most migrations and promotions are over in a moment.
    const delayMs = Math.min(reconnectDelayMs(lane.pauses), 250);
    lane.pauses += 1;
    this.#options.clock.after(delayMs, () => {
      if (!lane.isPausing) return;
      lane.isPausing = false;
      lane.mustPause = false;
      this.#next(slot, lane);
    });
  }
}
