import type { PresenceDiff, PresenceUser } from 'nestjs-realtime-protocol';
import { presenceOf, type RoomPresence } from './presence.js';
import type { RoomPhase } from './presence.js';

const user = (id: string): PresenceUser => ({ id, devices: [{ device: 'd' }] });
const diff = (from: number, to: number, change: Partial<PresenceDiff>): PresenceDiff => ({
  room: 'chat/42',
  epoch: 'e',
  from,
  to,
  ...change,
});

/** The server's side: answers every question with what `answers` holds next. */
function serving(answers: unknown[] = [], phase: RoomPhase = 'joining') {
  const asked: unknown[] = [];
  const presence = presenceOf({
    name: 'chat/42',
    phase,
    meta: undefined,
    observer: undefined,
    ask: (_event, data) => {
      asked.push(data);
      const answer = answers.shift();
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  });
  const changes: { ids: string[]; joined: string[]; left: readonly string[] }[] = [];
  presence.on('change', (users, { joined, left }) =>
    changes.push({ ids: users.map(({ id }) => id), joined: joined.map(({ id }) => id), left }),
  );
  const nextChange = (): Promise<void> =>
    new Promise((resolve) => {
      const off = presence.on('change', () => resolve(off()));
    });
  if (phase === 'joining') presence.reset({ epoch: 'e', version: 3, count: 1, users: [user('ada')] });
  return { presence, asked, changes, nextChange };
}

const ids = (presence: RoomPresence): string[] => presence.users.map(({ id }) => id);

describe('when diffs follow on each other', () => {
  it('tells who came and who left', () => {
    const { presence, changes } = serving();
    presence.apply(diff(3, 4, { join: [user('bob')] }));
    presence.apply(diff(4, 6, { leave: ['ada'] }));
    expect(changes.slice(1)).toEqual([
      { ids: ['ada', 'bob'], joined: ['bob'], left: [] },
      { ids: ['bob'], joined: [], left: ['ada'] },
    ]);
    expect(presence.count).toBe(1);
  });

  it('changes devices of a user, in the order of the server, and keeps the others', () => {
    const { presence, changes } = serving();
    const updated: PresenceUser[] = [];
    presence.on('update', (user) => updated.push(user));
    presence.apply(
      diff(3, 4, { join: [user('bob')], devices: [{ id: 'ada', set: { device: 'e', meta: 1 }, more: 2 }] }),
    );
    expect(presence.get('ada')).toEqual({ id: 'ada', devices: [{ device: 'd' }, { device: 'e', meta: 1 }], more: 2 });
    const set = { device: 'f' };
    presence.apply(
      diff(4, 5, {
        devices: [
          { id: 'ada', drop: 'd', set },
          { id: 'ada', set: { device: 'e' }, more: 0 },
        ],
      }),
    );
    expect(presence.get('ada')).toEqual({ id: 'ada', devices: [{ device: 'e' }, { device: 'f' }] });
    expect(presence.get('bob')).toEqual(user('bob'));
    expect(updated.map(({ id, devices }) => [id, devices.length])).toEqual([
      ['ada', 2],
      ['ada', 2],
    ]);
    expect(changes).toHaveLength(3);
  });

  it('asks again when devices change of a user whom it does not know', async () => {
    const { presence, asked, nextChange } = serving([{ epoch: 'e', version: 4, count: 1, users: [user('bob')] }]);
    const changed = nextChange();
    presence.apply(diff(3, 4, { devices: [{ id: 'bob', set: { device: 'e' } }] }));
    await changed;
    expect([ids(presence), asked.length]).toEqual([['bob'], 1]);
  });

  it('begins an empty room with its first epoch', () => {
    const { presence, asked } = serving();
    presence.reset({ epoch: '', version: 0, count: 0, users: [] });
    presence.apply(diff(0, 1, { join: [user('ada')] }));
    expect([ids(presence), asked.length]).toEqual([['ada'], 0]);
  });

  it('ignores one that it has seen already', () => {
    const { presence, asked, changes } = serving();
    presence.apply(diff(1, 3, { leave: ['ada'] }));
    expect(ids(presence)).toEqual(['ada']);
    expect([changes.length, asked.length]).toEqual([1, 0]);
  });
});

describe('when a diff does not follow on', () => {
  it.each([
    ['starts later', diff(5, 6, { join: [user('cyd')] })],
    ['overlaps', diff(2, 5, {})],
    ['is of another epoch', diff(3, 4, { epoch: 'f' })],
  ])('asks the server once if it %s', async (_, odd) => {
    const { presence, asked, nextChange } = serving([{ epoch: 'f', version: 9, users: [user('bob')] }]);
    presence.apply(odd);
    presence.apply(diff(6, 7, {}));
    await nextChange();
    expect(ids(presence)).toEqual(['bob']);
    expect(asked[0]).toEqual({ room: 'chat/42' });
  });

  it('applies afterwards what arrived while it asked', async () => {
    const { presence, nextChange } = serving([{ epoch: 'e', version: 8, users: [user('bob')] }]);
    presence.apply(diff(6, 7, {}));
    presence.apply(diff(8, 9, { join: [user('cyd')] }));
    await nextChange();
    expect(ids(presence)).toEqual(['bob', 'cyd']);
  });

  it('reads all pages', async () => {
    const pages = [
      { epoch: 'e', version: 8, users: [user('bob')], next: 'p2' },
      { epoch: 'e', version: 8, users: [user('cyd')] },
    ];
    const { presence, asked, nextChange } = serving(pages);
    presence.apply(diff(6, 7, {}));
    await nextChange();
    expect(ids(presence)).toEqual(['bob', 'cyd']);
    expect(asked[1]).toEqual({ room: 'chat/42', cursor: 'p2' });
  });

  it('asks again with the next diff after the server could not answer', async () => {
    const { presence, asked, nextChange } = serving([
      new Error('away'),
      { epoch: 'e', version: 9, users: [user('bob')] },
    ]);
    presence.apply(diff(6, 7, {}));
    await Promise.resolve().then(() => Promise.resolve());
    const changed = nextChange();
    presence.apply(diff(7, 8, {}));
    presence.apply(diff(8, 9, {}));
    await changed;
    expect(ids(presence)).toEqual(['bob']);
    expect(asked).toHaveLength(2);
  });
});

describe('when the room is too large to list', () => {
  it('counts', () => {
    const { presence } = serving();
    presence.apply({ room: 'chat/42', count: 1_234 });
    expect([presence.count, ids(presence)]).toEqual([1_234, []]);
  });

  it('lists again when the room shrinks', async () => {
    const { presence, nextChange } = serving([{ epoch: 'e', version: 9, users: [user('bob')] }]);
    presence.apply({ room: 'chat/42', count: 1_234 });
    presence.apply(diff(8, 9, { leave: ['x'] }));
    await nextChange();
    expect(ids(presence)).toEqual(['bob']);
  });
});

describe('when nobody cared who is there until the room was joined', () => {
  it('asks the server', async () => {
    const { presence, asked, nextChange } = serving([{ epoch: 'e', version: 9, users: [user('bob')] }], 'joined');
    await nextChange();
    expect([ids(presence), asked]).toEqual([['bob'], [{ room: 'chat/42' }]]);
  });
});
