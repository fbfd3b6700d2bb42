// A simulated user, once on our client and once on a stock one, behind the same few calls:
// { send(text): resolves when the server says that it has it, onMessage(listener), onPresence({ joined, left }), here(): ids, close() }
import { io } from 'socket.io-client';
import { createRealtimeClient, presenceOf } from 'nestjs-realtime-client';

async function fetchToken(url, user) {
  const response = await fetch(`${url}/auth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user }),
  });
  if (!response.ok) throw new Error(`no token for ${user}: ${response.status} ${await response.text()}`);
  return (await response.json()).token;
}

export async function connectOurs(url, user, chatId) {
  const client = createRealtimeClient(`${url}/chat`, { getToken: () => fetchToken(url, user) });
  const room = client.room(`chat/${chatId}`);
  const presence = presenceOf(room);
  await room.join();
  return {
    send: (text) => client.request('message.send', { chatId, text }, { timeoutMs: 1_500 }),
    onMessage: (listener) => room.on('message', ({ text }) => listener(text)),
    onPresence: (listener) =>
      presence.on('change', (_, { joined, left }) => {
        if (room.phase === 'joined') listener({ joined: joined.map(({ id }) => id), left });
      }),
    here: () => presence.users.map(({ id }) => id),
    close: () => client.close(),
  };
}

export async function connectStock(url, user, chatId) {
  const socket = io(`${url}/chat`, { transports: ['websocket'], auth: { token: await fetchToken(url, user) } });
  const presence = new Set();
  const listeners = [];
  const tell = (change) => listeners.forEach((listener) => listener(change));
  socket.on('user.joined', (id) => void (presence.add(id), tell({ joined: [id], left: [] })));
  socket.on('user.left', (id) => void (presence.delete(id), tell({ joined: [], left: [id] })));
  // The token is checked after the connection is open: a join before that would find no user.
  let isIn = false;
  while (!isIn) {
    const answer = await socket
      .timeout(1_000)
      .emitWithAck('join', chatId)
      .catch(() => undefined);
    isIn = Array.isArray(answer);
    for (const id of answer ?? []) presence.add(id);
  }
  return {
    // The gateway of the tutorial answers nothing: whoever sends can only hope.
    send: async (text) => void socket.emit('message', { room: chatId, text }),
    onMessage: (listener) => socket.on('message', ({ text }) => listener(text)),
    onPresence: (listener) => listeners.push(listener),
    here: () => [...presence],
    close: () => socket.disconnect(),
  };
}
