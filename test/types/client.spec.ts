import { createProgram, problemsOf } from '../docs/source.js';

const PRELUDE = `
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { createRealtimeClient, presenceOf, storedPositions } from 'nestjs-realtime-client';
import type { RequestAnswer, RequestData } from 'nestjs-realtime-client';
interface Chat {
  events: { notification: { text: string } };
  requests: { 'message.send': { data: { chatId: string; text: string }; answer: { id: string } } };
  rooms: {
    'chat/:id': { state: { topic: string }; events: { message: { from: string } } };
    lobby: { state: number };
  };
}
const client = createRealtimeClient<Chat>('http://localhost', { getToken: () => 'token' });
const anything = createRealtimeClient('http://localhost', { getToken: async () => undefined });
declare const id: string;
`;

const RIGHT: Record<string, string> = {
  'an event': `client.on('notification', ({ text }) => text.trim());`,
  'a state': `client.on('state', (status, { retryInMs }) => [status, retryInMs]);`,
  'a request and its answer': `const { id: made } = await client.request('message.send', { chatId: '1', text: '' }); made.trim();`,
  'the options of a request': `await client.request('message.send', { chatId: '1', text: '' }, { idempotent: true, offline: 'queue', lane: false, signal: AbortSignal.timeout(1) });`,
  'a room by its pattern': `const { topic } = await client.room(\`chat/\${id}\`).join(); topic.trim();`,
  'a room by its name': `(await client.room('lobby').join()).toFixed();`,
  'an event of a room': `client.room('chat/42').on('message', ({ from }, { room }) => [from.trim(), room.trim()]);`,
  'an event of a room that names none': `client.room('lobby').on('notification', ({ text }) => text.trim());`,
  'a publication': `const answer = await client.room('chat/42').publish('message', { from: 'ada' }); answer.id.trim();`,
  presence: `presenceOf(client.room('chat/42')).on('join', ({ id: user }) => user.trim());`,
  'the history of a room': `
const { publications, position, hasMore } = await client.room('chat/42').history({ limit: 10 });
for (const { event, data, offset } of publications) if (event === 'message') data.from.trim().at(offset);
if (hasMore) await client.room('chat/42').history({ before: { ...position, offset: 1 } });`,
  'a gap': `client.room('chat/42').onGap(({ position, code }) => [position?.offset, code.trim()]);`,
  'a join from the beginning': `await client.room('chat/42').join({ since: 'retention' });`,
  'where positions and the own room are asked for': `createRealtimeClient<Chat>('http://localhost', { getToken: () => 'token', positions: storedPositions(), userRoom: { since: 'retention' } });`,
  'a client without a contract': `anything.on('x', (data: unknown) => data); anything.room('any').on('y', () => 1); const a: unknown = await anything.request('z', 1); void a;`,
  'a gateway of the same contract': `
@WebSocketGateway()
export class ChatGateway {
  @SubscribeMessage('message.send' satisfies keyof Chat['requests'])
  send(@MessageBody() { text }: RequestData<Chat, 'message.send'>): RequestAnswer<Chat, 'message.send'> {
    return { id: text };
  }
}`,
};

const WRONG: Record<string, string> = {
  'an unknown event': `client.on('notifcation', () => undefined);`,
  'a field that an event has not': `client.on('notification', ({ txt }) => txt);`,
  'an unknown request': `await client.request('message.sent', { chatId: '1', text: '' });`,
  'a payload with a field too few': `await client.request('message.send', { chatId: '1' });`,
  'a payload of the wrong type': `await client.request('message.send', { chatId: 1, text: '' });`,
  'a field that an answer has not': `(await client.request('message.send', { chatId: '1', text: '' })).uid;`,
  'an unknown policy': `await client.request('message.send', { chatId: '1', text: '' }, { offline: 'wait' });`,
  'a room of no pattern': `client.room('chats/42');`,
  'a field that a state has not': `(await client.room('chat/42').join()).title;`,
  'an unknown event of a room': `client.room('chat/42').on('notification', () => undefined);`,
  'a publication with the wrong payload': `await client.room('chat/42').publish('message', { form: 'ada' });`,
  'a field that a publication of the history has not': `(await client.room('chat/42').history()).publications[0]?.data.form;`,
  'a join from somewhere': `await client.room('chat/42').join({ since: 'yesterday' });`,
  'a gateway that answers something else': `
export class ChatGateway {
  send(_: RequestData<Chat, 'message.send'>): RequestAnswer<Chat, 'message.send'> {
    return { uid: '1' };
  }
}`,
};

const fileOf = (kind: string, name: string): string => `${kind}-${name.replaceAll(' ', '-')}.ts`;
const all = [
  ...Object.entries(RIGHT).map(([name, code]) => [fileOf('right', name), code] as const),
  ...Object.entries(WRONG).map(([name, code]) => [fileOf('wrong', name), code] as const),
];
const program = createProgram(Object.fromEntries(all.map(([file, code]) => [file, `${PRELUDE}${code}\nexport {};`])));

describe('when a contract types a client', () => {
  it.each(Object.keys(RIGHT))('compiles: %s', (name) => {
    expect(problemsOf(program, fileOf('right', name))).toEqual([]);
  });

  it.each(Object.keys(WRONG))('does not compile: %s', (name) => {
    expect(problemsOf(program, fileOf('wrong', name))).toHaveLength(1);
  });
});
