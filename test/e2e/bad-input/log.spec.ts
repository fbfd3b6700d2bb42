import { BadRequestException, HttpException, InternalServerErrorException } from '@nestjs/common';
import { MessageBody, SubscribeMessage, WebSocketGateway, WsException } from '@nestjs/websockets';
import { RoomPolicy, type RoomContext } from 'nestjs-realtime';
import { ManualClock } from 'nestjs-realtime/testing';
import type { RawClient } from '../../support/raw-client.js';
import { HostileApp, refusal } from './hostile-app.js';

const SECRET = 'hunter2';

@WebSocketGateway({ namespace: 'log' })
class LogGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }

  @SubscribeMessage('fail')
  fail(@MessageBody() { kind }: { kind: string }): never {
    throw failureOf(kind);
  }

  @SubscribeMessage('parse')
  parse(@MessageBody() body: string): unknown {
    return JSON.parse(body);
  }
}

@RoomPolicy('chat/:id')
class ChatPolicy {
  canJoin({ meta }: RoomContext): never {
    throw new Error(`no such way to join: ${String(meta)}`);
  }
}

function failureOf(kind: string): unknown {
  switch (kind) {
    case 'error':
      return new Error(`connect ECONNREFUSED postgres://app:${SECRET}@db`);
    case 'cause':
      return new WsException({ code: 'ODD', message: 'Odd', cause: SECRET, query: SECRET });
    case '500':
      return new InternalServerErrorException(SECRET, { cause: new Error(SECRET) });
    case '599':
      return new HttpException({ message: SECRET, secret: SECRET }, 599);
    case '400':
      return new BadRequestException({ message: ['name must be a string'], value: SECRET });
    case 'object':
      return { secret: SECRET };
    case 'text':
      return SECRET;
    default:
      return undefined;
  }
}

const NS = '/log';

describe('when what is refused would harm a log', () => {
  /** One kind of refusal is logged once a second at most, and each test begins a second of its own. */
  const clock = new ManualClock(Date.now());
  let hostile: HostileApp;
  let mallory: RawClient;

  beforeAll(async () => {
    hostile = await HostileApp.boot({ providers: [LogGateway, ChatPolicy], clock }, { namespace: NS, event: 'ping' });
  });

  beforeEach(async () => {
    mallory = await hostile.raw(NS);
    clock.advance(1_000);
    hostile.log.drain();
  });

  afterEach(async () => {
    hostile.reported.length = 0;
    await hostile.survives();
    await mallory[Symbol.asyncDispose]();
  });

  afterAll(() => hostile[Symbol.asyncDispose]());

  it.each([
    ['error', 'INTERNAL'],
    ['500', 'INTERNAL'],
    ['599', 'INTERNAL'],
    ['object', 'INTERNAL'],
    ['text', 'INTERNAL'],
    ['nothing', 'INTERNAL'],
    ['cause', 'ODD'],
  ])("B-51: answers a handler's %s with its code, and none of its secret", async (kind, code) => {
    expect(await mallory.ask(NS, `["fail",{"kind":"${kind}","payload":"p4yload"}]`)).toEqual(refusal(code));
    mallory.send(`2${NS},["fail",{"kind":"${kind}"}]`);
    expect(await mallory.ask(NS, '["ping"]')).toBe('pong');
    const heard = JSON.stringify(mallory.inbox.all);
    expect(heard).toContain('exception');
    expect(heard).not.toContain(SECRET);
    expect(heard).not.toMatch(/stack|\.spec|node_modules/);
    expect(hostile.log.drain().join()).not.toContain('p4yload');
  });

  it('B-51: answers a failed validation with its messages alone', async () => {
    const answer = await mallory.ask(NS, '["fail",{"kind":"400"}]');
    expect(answer).toEqual({
      error: expect.objectContaining({ code: 'BAD_REQUEST', details: ['name must be a string'] }),
    });
    expect(JSON.stringify(answer)).not.toContain(SECRET);
  });

  it('B-51: logs an event name with CR LF, ESC and 10 KB as one escaped, cut line without the payload', async () => {
    const name = `x\r\n\u001b[2J\u009b\u2028\u202e"${'y'.repeat(10_000)}`;
    const answer = await mallory.ask(NS, `[${JSON.stringify(name)},{"payload":"p4yload"}]`);
    expect(answer).toEqual(refusal('NOT_FOUND'));
    const [line, ...more] = hostile.log.drain();
    expect(more).toEqual([]);
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(line?.length).toBeLessThan(300);
    expect(line).toContain('NOT_FOUND');
    expect(line).not.toContain('p4yload');
  });

  it('B-51: logs a flood in one line a second', async () => {
    const flood = async (size: number): Promise<string[]> => {
      for (let index = 0; index < size; index += 1) mallory.send(`2${NS},["flood-${index}"]`);
      expect(await mallory.ask(NS, '["ping"]')).toBe('pong');
      return hostile.log.drain();
    };
    expect(await flood(50)).toEqual([expect.stringContaining('Refused "flood-0" with NOT_FOUND')]);
    clock.advance(1_000);
    expect(await flood(1)).toEqual([expect.stringMatching(/NOT_FOUND.*\(and 49 more since\)/)]);
  });

  it('logs one failure of a handler once a second with its stack, and tells onError each time', async () => {
    const fail = async (times: number): Promise<string[]> => {
      for (let index = 0; index < times; index += 1) mallory.send(`2${NS},["fail"]`);
      expect(await mallory.ask(NS, '["ping"]')).toBe('pong');
      return hostile.log.drain();
    };
    const [first, ...more] = await fail(50);
    expect(more).toEqual([]);
    expect(first).toMatch(/^Unexpected failure TypeError: .*\n +at /);
    expect(hostile.reported).toHaveLength(50);
    clock.advance(1_000);
    expect(await fail(1)).toEqual([expect.stringContaining('Unexpected failure (and 49 more since)')]);
  });

  it.each([
    ["a handler's failure", JSON.stringify(['parse', '{"a":\u001b[31m\u202e\r\n[Nest] ERROR forged'])],
    ["a policy's failure", JSON.stringify(['realtime:join', { room: 'chat/1', meta: '\r\n\u001b[31mforged\u202e' }])],
  ])('escapes what a client put into %s', async (_name, message) => {
    await mallory.ask(NS, message);
    const entry = hostile.log.drain().join('\n');
    expect(entry).toMatch(/forged|SyntaxError/);
    expect(entry.replaceAll('\n    at ', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });
});

describe('when onError itself fails later', () => {
  it('logs its rejection, and the process goes on', async () => {
    const onError = (): Promise<void> => Promise.reject(new Error('Sentry is away'));
    const options = { providers: [LogGateway], realtime: { onError } };
    await using hostile = await HostileApp.boot(options, { namespace: NS, event: 'ping' });
    await using mallory = await hostile.raw(NS);
    expect(await mallory.ask(NS, '["fail"]')).toEqual(refusal('INTERNAL'));
    await hostile.survives();
    expect(hostile.log.drain().join()).toContain('onError threw');
  });
});
