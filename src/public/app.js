// The page: signs in, joins one room, and shows what the client library tells it. view.js draws.
import { createRealtimeClient, presenceOf, storedOutbox } from 'nestjs-realtime-client';
import * as view from './view.js';

/** How long "is typing" stays after the last sign of it, and the least time between two signs of ours. */
const TYPING_SHOWN_MS = 3_000;
const TYPING_EVERY_MS = 1_500;

let session;
let isOffline = false;
let lastTypedAt = 0;

async function post(path, body, token) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error([answer.message].flat().join('. '));
  return answer;
}

function signIn(user, chatId) {
  let token;
  const client = createRealtimeClient(`${location.origin}/chat`, {
    getToken: async () => {
      if (isOffline) throw new Error('The button says offline');
      return ({ token } = await post('/auth/token', { user })).token;
    },
    // What is typed offline survives a reload, and is only ever sent as the one who typed it.
    principal: user,
    // Who waves while the connection is away is seen when it is back.
    userRoom: true,
    outbox: { store: storedOutbox({ key: `demo:${user}:${chatId}` }) },
  });
  session = { user, chatId, client, room: client.room(`chat/${chatId}`), token: () => token };
  listen(session);
  view.showChat(chatId);
  // An empty page shows what the room has kept; later only what it missed comes.
  session.room.join({ since: 'retention' }).catch((error) => {
    if (session?.client === client && error.code !== 'CLOSED') signOut(error.message);
  });
}

function listen({ user, client, room, token }) {
  let isFirst = true;
  client.on('state', view.showState);
  client.outbox.on('change', showPending);
  client.outbox.on('settled', ({ event, data, error }) => {
    if (event === 'message.send' && error) view.showSendProblem(`Not sent: ${data.text} (${error.message})`);
  });
  client.on('notification', ({ text }) => view.addNote(text));
  room.on('message', (message) => view.addMessage({ ...message, isMine: message.from === user }));
  room.onGap(() => view.addGap());
  room.on('announcement', ({ from, text }) => view.addNote(`${from} announces: ${text}`));
  room.on('typing', ({ from }) => view.showTyping(from, TYPING_SHOWN_MS));
  room.onChange(({ phase, error }) => {
    if (phase === 'left' && error) signOut(error.message);
  });
  const presence = presenceOf(room);
  presence.on('change', (users, { joined, left }) => {
    if (room.phase === 'left') return;
    view.showPeople(users, presence.count, user, (id) => wave(id, user, token()));
    for (const { id } of isFirst ? [] : joined) if (id !== user) view.addNote(`${id} joined`);
    isFirst = false;
    for (const id of left) if (id !== user) view.addNote(`${id} left`);
  });
}

/** Plain HTTP to this node; the other one may be on any. */
async function wave(id, user, token) {
  try {
    await post(`/notifications/${encodeURIComponent(id)}`, { text: `${user} waves at you` }, token);
    view.addNote(`You waved at ${id}`);
  } catch (error) {
    view.showSendProblem(error.message);
  }
}

function signOut(problem = '') {
  session?.client.close();
  session = undefined;
  history.replaceState(null, '', location.pathname);
  view.showSignIn(problem);
}

/** Waits for the connection if need be; sent again with the same id if the answer is lost. */
function send(text) {
  const { client, chatId } = session;
  view.showSendProblem('');
  lastTypedAt = 0;
  // Its end, good or bad, is told by the outbox: also after a reload.
  client.request('message.send', { chatId, text }, { idempotent: true, offline: 'queue' }).catch(() => undefined);
}

function showPending(pending) {
  view.showPending(pending.filter(({ event }) => event === 'message.send').map(({ data }) => data.text));
}

/** As a phone in a tunnel: the network's own events, and no token until it is out again. */
function toggleOffline() {
  isOffline = !isOffline;
  view.showOffline(isOffline);
  dispatchEvent(new Event(isOffline ? 'offline' : 'online'));
}

function sayTyping() {
  if (Date.now() - lastTypedAt < TYPING_EVERY_MS) return;
  lastTypedAt = Date.now();
  // A lost "is typing" is no loss.
  void session.client.request('typing', { chatId: session.chatId }, { offline: 'drop' });
}

view.onSignIn((user, chatId) => {
  location.hash = new URLSearchParams({ user, room: chatId }).toString();
  signIn(user, chatId);
});
view.onLeave(() => signOut());
view.onOffline(toggleOffline);
view.onSend(send);
view.onTyping(sayTyping);
view.onKill(() => post('/dev/kill', {}).catch((error) => view.showSendProblem(error.message)));
view.showNode(await fetch('/node').then((response) => response.json()));

// A link from another node brings its name and room along.
const link = new URLSearchParams(location.hash.slice(1));
if (link.has('user') && link.has('room')) signIn(link.get('user'), link.get('room'));
