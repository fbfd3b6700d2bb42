import fc from 'fast-check';
import type { RoomMember } from './room-member.js';
import { RoomRegistry } from './room-registry.js';

const member = (id: string): RoomMember => ({ link: { id }, rooms: new Set<string>() }) as unknown as RoomMember;

describe('the registry of local members', () => {
  it('keeps both sides in agreement, and no empty room, whatever happens', () => {
    const step = fc.record({
      kind: fc.constantFrom('register', 'unregister', 'add', 'remove'),
      who: fc.nat(4),
      room: fc.constantFrom('a', 'b', 'c'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const registry = new RoomRegistry();
        const members = Array.from({ length: 5 }, (_, index) => member(String(index)));
        for (const { kind, who, room } of steps) {
          const one = members[who] as RoomMember;
          if (kind === 'register') registry.register(one);
          else if (kind === 'unregister') registry.unregister(one);
          else if (kind === 'add') {
            if (registry.isRegistered(one)) registry.add(one, room);
          } else registry.remove(one, room);
        }
        for (const room of ['a', 'b', 'c']) {
          const inside = members.filter(({ rooms }) => rooms.has(room));
          expect(new Set(registry.members(room))).toEqual(new Set(inside));
          expect(registry.members(room).size).toBe(inside.length);
          expect(registry.has(room)).toBe(inside.length > 0);
        }
        for (const one of members) if (!registry.isRegistered(one)) expect(one.rooms.size).toBe(0);
      }),
    );
  });

  it('says which room changes, before it does, and nothing where nothing changes', () => {
    const told: [string, number][] = [];
    const registry: RoomRegistry = new RoomRegistry((room) => told.push([room, registry.members(room).size]));
    const [ada, bob] = [member('ada'), member('bob')];
    for (const one of [ada, bob]) registry.register(one);
    registry.add(ada, 'a');
    registry.add(bob, 'a');
    registry.add(bob, 'a');
    registry.remove(ada, 'a');
    registry.remove(ada, 'a');
    registry.unregister(bob);
    expect(told).toEqual([
      ['a', 0],
      ['a', 1],
      ['a', 2],
      ['a', 1],
    ]);
  });

  it('tells which rooms somebody left', () => {
    const registry = new RoomRegistry();
    const ada = member('ada');
    registry.register(ada);
    expect([registry.add(ada, 'a'), registry.add(ada, 'a'), registry.add(ada, 'b')]).toEqual([true, false, true]);
    expect(registry.unregister(ada)).toEqual(['a', 'b']);
    expect(registry.unregister(ada)).toEqual([]);
    expect(registry.connectionCount).toBe(0);
  });
});
