import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { PresenceDiff } from 'nestjs-realtime-protocol';
import { RoomPolicy } from 'nestjs-realtime';
import { createRealtimeClient, presenceOf } from 'nestjs-realtime-client';
import { bootApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { RawClient } from '../support/raw-client.js';
import { mintToken } from '../support/tokens.js';

@WebSocketGateway({ namespace: 'app' })
class AppGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

@RoomPolicy('team/:id', { presence: true })
class TeamPolicy {
  canJoin(): boolean {
    return true;
  }
}

const NS = '/app';
const room = 'team/1';
const HEAD = `2${NS},["realtime:presence",`;

async function join(url: string, user: string, device?: string, v = 1): Promise<RawClient> {
  const rt = device === undefined ? {} : { rt: { v, device } };
  const client = await RawClient.connected(url, NS, { token: mintToken(user), ...rt });
  expect(await client.ask(NS, JSON.stringify(['realtime:join', { room }]))).toMatchObject({ room });
  return client;
}

/** The next diff that is about `userId` and of which nothing was read yet. */
async function diffOf({ inbox }: RawClient, userId: string): Promise<PresenceDiff> {
  const { args } = await inbox.next(
    ({ event, args: [packet] }) =>
      event === 'packet' && String(packet).startsWith(HEAD) && String(packet).includes(`"id":"${userId}"`),
  );
  return JSON.parse(String(args[0]).slice(HEAD.length, -1)) as PresenceDiff;
}

describe('when a device of a user changes', () => {
  it('tells clients what they understand: what changed, or the whole user', async () => {
    await using app = await bootApp({ providers: [AppGateway, TeamPolicy] });
    await using stock = await join(app.url, 'sam');
    await using old = await join(app.url, 'oda', 'o', 1);
    await using able = await join(app.url, 'abe', 'a', 2);
    await using first = await join(app.url, 'ada', 'one');
    await using second = await join(app.url, 'ada', 'two');
    const members = [stock, old, able];
    for (const member of members) {
      // Both devices may be in one diff, or in two.
      for (let text = ''; !text.includes('"two"');) text = JSON.stringify(await diffOf(member, 'ada'));
    }
    expect(await second.ask(NS, JSON.stringify(['realtime:meta', { room, meta: 'busy' }]))).toBeNull();
    const [toStock, toOld, toAble] = await Promise.all(members.map((member) => diffOf(member, 'ada')));
    const set = { device: 'two', meta: 'busy' };
    const update = [{ id: 'ada', devices: [{ device: 'one' }, set] }];
    expect([toStock?.update, toStock?.devices]).toEqual([update, undefined]);
    expect([toOld?.update, toOld?.devices]).toEqual([update, undefined]);
    expect([toAble?.update, toAble?.devices]).toEqual([undefined, [{ id: 'ada', set }]]);
    expect(toAble).toMatchObject({ from: toOld?.from, to: toOld?.to });
    // Nobody is told twice: what each hears next is what happens next.
    await first[Symbol.asyncDispose]();
    await second.ask(NS, JSON.stringify(['realtime:meta', { room, meta: 'free' }]));
    for (const member of members) expect(await diffOf(member, 'ada')).toMatchObject({ from: toOld?.to });
  });

  it('keeps the list of our client right, of a user with more devices than are listed, too', async () => {
    await using app = await bootApp({
      providers: [AppGateway, TeamPolicy],
      realtime: { presence: { leaveGraceMs: 0 } },
    });
    const client = createRealtimeClient(`${app.url}${NS}`, { getToken: () => mintToken('zoe') });
    const joined = client.room(room);
    const presence = presenceOf(joined);
    try {
      await joined.join();
      const devices: RawClient[] = [];
      for (let n = 0; n < 20; n += 1) devices.push(await join(app.url, 'ada', `d${n}`));
      const listed = (from: number, count: number): object[] =>
        Array.from({ length: count }, (_, index) => ({ device: `d${from + index}` }));
      await eventually(() => expect(presence.get('ada')).toEqual({ id: 'ada', devices: listed(0, 16), more: 4 }));
      for (const device of devices.slice(0, 3)) await device[Symbol.asyncDispose]();
      await eventually(() => expect(presence.get('ada')).toEqual({ id: 'ada', devices: listed(3, 16), more: 1 }));
      for (const device of devices.slice(3, 10)) await device[Symbol.asyncDispose]();
      await eventually(() => expect(presence.get('ada')).toEqual({ id: 'ada', devices: listed(10, 10) }));
      for (const device of devices) await device[Symbol.asyncDispose]();
      await eventually(() => expect(presence.get('ada')).toBeUndefined());
    } finally {
      client.close();
    }
  });
});
