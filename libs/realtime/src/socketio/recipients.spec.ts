import { RecipientLists } from './recipients.js';

interface One {
  readonly id: string;
  readonly seat: number;
}

function crowd(size: number): { ids: Set<string>; all: Map<string, One>; lists: RecipientLists<string, One, One> } {
  const all = new Map(Array.from({ length: size }, (_, seat) => [`id-${seat}`, { id: `id-${seat}`, seat }]));
  const lists = new RecipientLists<string, One, One>({
    socketOf: (id) => all.get(id),
    outletOf: (one) => (one.seat === 3 ? undefined : one),
  });
  return { ids: new Set(all.keys()), all, lists };
}

describe('the list of the recipients of a room', () => {
  it('is there from the second broadcast on, in the order of the room', () => {
    const { ids, all, lists } = crowd(20);
    expect(lists.of('room', ids)).toBeUndefined();
    const list = lists.of('room', ids);
    expect(list?.sockets).toEqual([...all.values()]);
    expect(list?.outlets[3]).toBeUndefined();
    expect([...(list?.seats ?? [])]).toEqual([...all.keys()].map((_, seat) => (seat === 3 ? -1 : seat)));
    expect(lists.of('room', ids)).toBe(list);
  });

  it('is stale once somebody comes or goes, and made anew for the second broadcast after that', () => {
    const { ids, lists } = crowd(20);
    const [, list] = [lists.of('room', ids), lists.of('room', ids)];
    lists.changed('another');
    expect(list?.isStale).toBe(false);
    lists.changed('room');
    ids.delete('id-0');
    expect(list?.isStale).toBe(true);
    expect(lists.of('room', ids)).toBeUndefined();
    expect(lists.of('room', ids)?.sockets).toHaveLength(19);
  });

  it('is not used for a room whose size has changed without a word', () => {
    const { ids, lists } = crowd(20);
    const [, list] = [lists.of('room', ids), lists.of('room', ids)];
    ids.delete('id-0');
    expect(lists.of('room', ids)).not.toBe(list);
  });

  it('is not made for few, nor while somebody is not connected yet', () => {
    const few = crowd(15);
    const early = crowd(20);
    early.all.delete('id-7');
    for (let broadcast = 0; broadcast < 3; broadcast += 1) {
      expect(few.lists.of('room', few.ids)).toBeUndefined();
      expect(early.lists.of('room', early.ids)).toBeUndefined();
    }
  });
});
