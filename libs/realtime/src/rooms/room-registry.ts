import type { RoomMember } from './room-member.js';

/**
 * Which connections of this node are in which room. Pure bookkeeping: no I/O, no policy.
 * Invariant: `member.rooms` and the room's set always agree; a room without members does not exist.
 */
export class RoomRegistry {
  /** Users' own rooms have one member as a rule: only the second one costs a set. */
  private readonly rooms = new Map<string, RoomMember | Set<RoomMember>>();
  private readonly byId = new Map<string, RoomMember>();

  /** @param beforeChange Told the room, before a member comes or goes. */
  constructor(private readonly beforeChange: (room: string) => void = () => undefined) {}

  /** Makes the connection known; rooms come with `add`. */
  register(member: RoomMember): void {
    this.byId.set(member.link.id, member);
  }

  /** Forgets the connection and returns the rooms it was in. */
  unregister(member: RoomMember): string[] {
    if (!this.byId.delete(member.link.id)) return [];
    const left = [...member.rooms];
    for (const room of left) this.remove(member, room);
    return left;
  }

  isRegistered(member: RoomMember): boolean {
    return this.byId.has(member.link.id);
  }

  find(connectionId: string): RoomMember | undefined {
    return this.byId.get(connectionId);
  }

  all(): IterableIterator<RoomMember> {
    return this.byId.values();
  }

  /** True if it was not in the room before. */
  add(member: RoomMember, room: string): boolean {
    if (member.rooms.has(room)) return false;
    this.beforeChange(room);
    const members = this.rooms.get(room);
    if (members instanceof Set) members.add(member);
    else this.rooms.set(room, members ? new Set([members, member]) : member);
    member.rooms.add(room);
    return true;
  }

  remove(member: RoomMember, room: string): boolean {
    if (!member.rooms.delete(room)) return false;
    this.beforeChange(room);
    const members = this.rooms.get(room);
    if (members instanceof Set) members.delete(member);
    if (!(members instanceof Set) || members.size === 0) this.rooms.delete(room);
    return true;
  }

  members(room: string): ReadonlySet<RoomMember> {
    const members = this.rooms.get(room) ?? NOBODY;
    return members instanceof Set ? members : new Set([members]);
  }

  has(room: string): boolean {
    return this.rooms.has(room);
  }

  get connectionCount(): number {
    return this.byId.size;
  }
}

const NOBODY = new Set<RoomMember>();
