import type { INestApplication } from '@nestjs/common';
import { createClient, type Client } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { GraphQLInt, GraphQLObjectType, GraphQLSchema } from 'graphql';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { ChatModule } from './app/chat.module.js';
import { ask, closeClients, connect } from './clients.js';
import { hosts, start, type RunningApp } from './hosts.js';

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: 'Query', fields: { zero: { type: GraphQLInt, resolve: () => 0 } } }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      count: {
        type: GraphQLInt,
        subscribe: async function* () {
          for (const count of [1, 2, 3]) yield await Promise.resolve({ count });
        },
      },
    },
  }),
});

/** graphql-ws on the app's own http server, as a GraphQL module installs it: it takes the upgrades of its path alone. */
function serveGraphql(app: INestApplication): { dispose(): void | Promise<void> } {
  const sockets = new WebSocketServer({ noServer: true });
  (app.getHttpServer() as Server).on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.url !== '/graphql') return;
    sockets.handleUpgrade(request, socket, head, (webSocket) => sockets.emit('connection', webSocket, request));
  });
  return useServer({ schema }, sockets);
}

async function counts(client: Client): Promise<unknown[]> {
  const results: unknown[] = [];
  for await (const { data } of client.iterate({ query: 'subscription { count }' })) results.push(data);
  return results;
}

describe.each(hosts)('when graphql-ws shares the http server on $name', (host) => {
  let running: RunningApp;
  let graphql: ReturnType<typeof serveGraphql>;

  beforeAll(async () => {
    running = await start(host, { imports: [ChatModule] }, (app) => void (graphql = serveGraphql(app)));
  });

  afterAll(async () => {
    closeClients();
    await graphql.dispose();
    await running.app.close();
  });

  it('serves subscriptions while gateways are served, and both survive each other', async () => {
    const client = createClient({ url: `${running.url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket });
    const chat = await connect(running.url, { transports: ['websocket'] });
    const expected = [{ count: 1 }, { count: 2 }, { count: 3 }];

    expect(await counts(client)).toEqual(expected);
    expect(await ask(chat, 'header', 'x-absent')).toBe('none');
    chat.disconnect();
    expect(await counts(client)).toEqual(expected);
    await client.dispose();
  });
});
