import { MessageBody, SubscribeMessage, WebSocketGateway, WsException } from '@nestjs/websockets';
import type { RawClient } from '../../support/raw-client.js';
import { HostileApp, refusal } from './hostile-app.js';

const received: unknown[][] = [];

@WebSocketGateway({ namespace: 'open' })
class OpenGateway {
  @SubscribeMessage('echo')
  echo(@MessageBody() body: unknown): unknown {
    received.push(['echo', body]);
    return body;
  }

  @SubscribeMessage('throw')
  throw(@MessageBody() body: unknown): never {
    received.push(['throw', body]);
    throw new WsException({ message: 'No', body });
  }

  @SubscribeMessage('new message')
  declared(): string {
    return 'declared';
  }

  @SubscribeMessage('merge')
  merge(@MessageBody() body: object): unknown {
    return Object.assign({}, body);
  }

  @SubscribeMessage('unsayable')
  unsayable(@MessageBody() kind: string): unknown {
    if (kind === 'bigint') return 10n;
    const circle: { self?: unknown } = {};
    circle.self = circle;
    if (kind === 'details') throw new WsException({ code: 'ODD', message: 'Odd', details: circle });
    return circle;
  }
}

const NS = '/open';
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe('when a connected client sends what no client should', () => {
  let hostile: HostileApp;
  let mallory: RawClient;

  beforeAll(async () => {
    hostile = await HostileApp.boot({ providers: [OpenGateway] }, { namespace: NS, event: 'echo' });
  });

  beforeEach(async () => {
    mallory = await hostile.raw(NS);
    hostile.log.drain();
    received.length = 0;
  });

  afterEach(async () => {
    await hostile.survives();
    await mallory[Symbol.asyncDispose]();
  });

  afterAll(() => hostile[Symbol.asyncDispose]());

  /** The connection lives on: its next message is answered. */
  const lives = async (): Promise<void> => expect(await mallory.ask(NS, '["echo","fence"]')).toBe('fence');

  it.each([
    ['error', '"error"'],
    ['exception', '"exception"'],
    ['message', '"message"'],
    ['__proto__', '"__proto__"'],
    ['constructor', '"constructor"'],
    ['toString', '"toString"'],
    ['hasOwnProperty', '"hasOwnProperty"'],
    ['a number', '7'],
    ['minus zero', '-0'],
    ['a name with spaces that nobody declares', '"no such message"'],
    ['nothing', '""'],
    ['NUL', '"\\u0000"'],
    ['60 KB', `"${'x'.repeat(60_000)}"`],
    ['a lone surrogate', '"\\ud800"'],
  ])('B-09…13: answers NOT_FOUND to the event name %s and the connection survives', async (_name, name) => {
    expect(await mallory.ask(NS, `[${name},{"admin":true}]`)).toEqual(refusal('NOT_FOUND'));
    await lives();
    expect(received).toEqual([['echo', 'fence']]);
  });

  it('B-09…13: closes with 1009 on an event name of 100 KB', async () => {
    mallory.send(`2${NS},1["${'x'.repeat(100_000)}"]`);
    expect(await mallory.closed()).toBe(1009);
  });

  it('B-09…13: answers to a declared name however odd', async () => {
    expect(await mallory.ask(NS, '["new message"]')).toBe('declared');
  });

  it('B-09…13: tells an unknown event without an ack by `exception`, with nothing of the payload', async () => {
    mallory.send(`2${NS},["nobody.listens",{"secret":"s3cret"}]`);
    const { args } = await mallory.inbox.next(({ args: [text] }) => String(text).includes('exception'));
    expect(args[0]).toContain('NOT_FOUND');
    expect(args[0]).not.toContain('s3cret');
    await lives();
  });

  it.each([
    ['connect', '["connect"]'],
    ['connect_error', '["connect_error"]'],
    ['disconnect', '["disconnect"]'],
    ['disconnecting', '["disconnecting"]'],
    ['newListener', '["newListener"]'],
    ['removeListener', '["removeListener"]'],
    ['an object', '[{"a":1}]'],
    ['null', '[null]'],
    ['a list', '[["echo"]]'],
    ['no list at all', '{"0":"echo"}'],
    ['no name at all', '[]'],
    ['broken JSON', '["echo"'],
  ])('B-09…13: closes on the event name %s', async (_name, json) => {
    await expect(mallory.ask(NS, json)).rejects.toThrow('closed');
    expect(received).toEqual([]);
  });

  it.each([
    ['an empty packet', ''],
    ['an empty event', `2${NS},`],
    ['an empty event with an ack id', `2${NS},12`],
    ['an ack id of 400 digits', `2${NS},${'9'.repeat(400)}["echo",1]`],
    ['an unknown packet type', `9${NS},["echo"]`],
    ['a letter for a type', 'x'],
    ['an event for a namespace that is not connected', '2["echo"]'],
    ['a DISCONNECT with a payload', `1${NS},["x"]`],
    ['a CONNECT_ERROR', `4${NS},{"message":"x"}`],
    ['attachments without a count', `5${NS},["echo"]`],
    ['100 000 attachments', `5100000-${NS},["echo"]`],
  ])('B-09…13: closes on %s', async (_name, packet) => {
    mallory.send(packet);
    expect(await mallory.closed()).toEqual(expect.any(Number));
    expect(received).toEqual([]);
  });

  it.each([
    ['an ack that nobody waits for', `3${NS},999["x"]`],
    ['an ack without anything', `3${NS},999`],
    ['an ack without an id', `3${NS},["x"]`],
    ['the same ack a hundred times', `3${NS},1["x"]`],
  ])('B-09…13: ignores %s', async (_name, packet) => {
    mallory.send(...Array.from({ length: 100 }, () => packet));
    await lives();
  });

  it.each([33, 100, 5_000, 10_000])(
    'B-14/15: answers BAD_REQUEST to JSON nested %i deep, to handlers that echo or throw, and to unknown events',
    async (depth) => {
      for (const event of ['echo', 'throw', 'nobody.listens', 'realtime:join', '__proto__']) {
        expect(await mallory.ask(NS, `["${event}",${nested(depth)}]`)).toEqual(refusal('BAD_REQUEST'));
      }
      expect(received).toEqual([]);
      await lives();
    },
  );

  it('B-14/15: hides no depth behind texts and escapes', async () => {
    expect(await mallory.ask(NS, `["echo","a\\"[",${nested(10_000)}]`)).toEqual(refusal('BAD_REQUEST'));
    expect(await mallory.ask(NS, `["echo",{"a\\\\":${nested(10_000)}}]`)).toEqual(refusal('BAD_REQUEST'));
    expect(await mallory.ask(NS, `["echo","${'['.repeat(10_000)}"]`)).toBe('['.repeat(10_000));
  });

  it('B-14/15: tells a deep event without an ack by `exception`', async () => {
    mallory.send(`2${NS},["echo",${nested(10_000)}]`);
    const { args } = await mallory.inbox.next(({ args: [text] }) => String(text).includes('exception'));
    expect(args[0]).toContain('BAD_REQUEST');
    await lives();
  });

  it('B-14/15: takes what is exactly as deep as allowed', async () => {
    const json = nested(31);
    expect(await mallory.ask(NS, `["echo",${json}]`)).toEqual(JSON.parse(json));
  });

  it.each([
    ['a deep ack', `3${NS},1${nested(10_000)}`],
    ['a deep binary event', `51-${NS},["echo",${nested(10_000)}]`],
  ])('B-14/15: closes on %s', async (_name, packet) => {
    mallory.send(packet);
    await mallory.closed();
    expect(received).toEqual([]);
  });

  it('B-14/15: never echoes what a handler threw', async () => {
    expect(await mallory.ask(NS, '["throw",{"secret":"s3cret"}]')).toEqual(refusal('BAD_REQUEST'));
    expect(JSON.stringify(mallory.inbox.all)).not.toContain('s3cret');
    expect(hostile.log.drain().join()).not.toContain('s3cret');
  });

  it('B-16: closes with 1009 on 100 000 keys, which are above the size limit', async () => {
    const keys = Array.from({ length: 100_000 }, (_, index) => `"k${index}":0`).join();
    mallory.send(`2${NS},1["echo",{${keys}}]`);
    expect(await mallory.closed()).toBe(1009);
    expect(received).toEqual([]);
  });

  it('B-16: answers to as many keys as fit', async () => {
    const keys = Array.from({ length: 6_000 }, (_, index) => `"k${index}":0`).join();
    expect(Object.keys((await mallory.ask(NS, `["echo",{${keys}}]`)) as object)).toHaveLength(6_000);
  });

  it.each([
    ['1e400', '1e400', null],
    ['-1e400', '-1e400', null],
    ['an integer beyond 2^53', '12345678901234567890', 12345678901234567000],
    ['NUL', '"a\\u0000b"', 'a\0b'],
    ['lone surrogates', '["\\ud800","\\udc00x"]', ['\ud800', '\udc00x']],
    ['a line separator', '"\\u2028"', '\u2028'],
  ])('B-16: carries %s without harm', async (_name, json, expected) => {
    expect(await mallory.ask(NS, `["echo",${json}]`)).toEqual(expected);
    await lives();
  });

  it('B-16: closes with 1009 on a frame above the size limit', async () => {
    mallory.send(`2${NS},1["echo","${'x'.repeat(70_000)}"]`);
    expect(await mallory.closed()).toBe(1009);
  });

  it.each([
    ['__proto__', '{"__proto__":{"admin":true}}'],
    ['constructor', '{"constructor":{"prototype":{"admin":true}}}'],
    ['both, nested', '{"a":{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":1}}}}'],
  ])('B-33: pollutes nothing with %s', async (_name, json) => {
    for (const event of ['echo', 'merge', 'throw', 'realtime:join', 'realtime:refresh', 'realtime:publish'])
      await mallory.ask(NS, `["${event}",${json}]`);
    await mallory.ask(NS, `["echo",${json},{"$rt":${json}}]`);
    await lives();
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
  });

  it.each(['circle', 'bigint', 'details'])('answers once when the answer cannot be encoded (%s)', async (kind) => {
    const answer = await mallory.ask(NS, `["unsayable","${kind}"]`);
    expect(answer).toEqual(refusal(kind === 'details' ? 'ODD' : 'INTERNAL'));
    expect(hostile.reported.splice(0).map(({ event }) => event)).toEqual(['unsayable']);
    await lives();
  });
});
