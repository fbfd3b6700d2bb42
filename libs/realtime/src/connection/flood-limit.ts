import { abuseLimit, historyLimit, type ResolvedLimitsOptions } from '../limits/limits-options.js';
import type { FloodLimit } from './transport-budget.js';
import { UserBudgets, type UserLimit } from './user-budgets.js';

/** What the options say about floods, for all transports of a node. */
export function floodLimit(
  limits: ResolvedLimitsOptions,
  { now, onRefused, transportsOf }: Pick<FloodLimit, 'now' | 'onRefused'> & Pick<UserLimit, 'transportsOf'>,
): FloodLimit {
  const { userShares, newRoomsPerSecond } = limits;
  const rate = { perSecond: limits.messagesPerSecond, burst: limits.burst };
  const joins = { perSecond: limits.joinsPerSecond, burst: limits.joinBurst };
  const history = historyLimit(limits);
  const newRooms = { perSecond: newRoomsPerSecond, burst: userShares * limits.joinBurst };
  return {
    rate,
    joins,
    history,
    now,
    onRefused,
    abuse: abuseLimit(limits.abuse),
    users:
      userShares === 0
        ? undefined
        : new UserBudgets({ messages: rate, joins, history, newRooms, maxShares: userShares, transportsOf, now }),
  };
}

/** Transports of a user on this node: its connections are all in the user's own room. Stops at `most`. */
export function transportsIn(
  members: Iterable<{ readonly link: { readonly transportId: string } }>,
  most: number,
): number {
  const transports = new Set<string>();
  for (const { link } of members) {
    if (transports.size >= most) break;
    transports.add(link.transportId);
  }
  return transports.size;
}
