import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { RawClient } from '../../support/raw-client.js';
import { HostileApp } from './hostile-app.js';

const received: unknown[] = [];

@WebSocketGateway({ namespace: 'files' })
class FilesGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }

  @SubscribeMessage('file')
  file(@MessageBody() body: unknown): number {
    received.push(body);
    return Buffer.isBuffer(body) ? body.length : -1;
  }
}

const NS = '/files';
const CONNECT_WITHIN_MS = 500;

describe('when attachments are not what was announced', () => {
  let hostile: HostileApp;
  let mallory: RawClient;

  beforeAll(async () => {
    const realtime = { connectTimeoutMs: CONNECT_WITHIN_MS };
    hostile = await HostileApp.boot({ providers: [FilesGateway], realtime }, { namespace: NS, event: 'ping' });
  });

  beforeEach(async () => {
    received.length = 0;
    mallory = await hostile.raw(NS);
  });

  afterEach(async () => {
    await hostile.survives();
    await mallory[Symbol.asyncDispose]();
  });

  afterAll(() => hostile[Symbol.asyncDispose]());

  const announced = (count: number, num = 0): string => `5${count}-${NS},1["file",{"_placeholder":true,"num":${num}}]`;

  it('B-17: takes them as announced', async () => {
    mallory.send(announced(1), Buffer.from('abc'));
    const { args } = await mallory.inbox.next(({ args: [text] }) => String(text).startsWith('3'));
    expect(args[0]).toBe(`3${NS},1[3]`);
  });

  it('B-17: closes when they never come', async () => {
    mallory.send(announced(2), Buffer.from('abc'));
    await mallory.closed();
    expect(received).toEqual([]);
  });

  it.each<[string, (string | Buffer)[]]>([
    ['one that nobody announced', [Buffer.from('abc')]],
    ['a text in place of one', [announced(1), `2${NS},["ping"]`]],
    ['another number', [announced(1, 7), Buffer.from('abc')]],
    ['a number that is none', [announced(1).replace('"num":0', '"num":"length"'), Buffer.from('abc')]],
    ['too many', [announced(1_000_000)]],
    ['a negative count', [announced(-1)]],
    ['none', [announced(0)]],
    ['1e3', [announced(1).replace('51-', '51e3-')]],
    ['1e0', [announced(1).replace('51-', '51e0-'), Buffer.from('abc')]],
    ['01', [announced(1).replace('51-', '501-'), Buffer.from('abc')]],
    ['one in many places', [announced(1).replace(/(\{.*\})/, '[$1,$1]'), Buffer.from('abc')]],
    ['an ack id that no number holds', [announced(1).replace(',1[', `,${'9'.repeat(300)}[`), Buffer.from('abc')]],
  ])('B-17: closes on %s', async (_name, packets) => {
    mallory.send(...packets);
    await mallory.closed();
    expect(received).toEqual([]);
  });
});
