import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { connectedClient, stockClient } from '../support/inbox.js';
import { TEST_SECRET, mintToken } from '../support/tokens.js';
import { ROOT, allPages, codeBlocks, readPage } from './markdown.js';
import { createProgram, problemsOf } from './source.js';

/** What a guide's fragment may take for granted; README's snippets stand alone. */
const GUIDE_PRELUDE = `
import { Injectable, Module } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ThrottlerModule } from '@nestjs/throttler';
import { randomUUID } from 'node:crypto';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { CurrentPrincipal, PresenceService, RealtimeModule, RealtimeService, RequestId, RequireScopes, Roles, RoomManager, RoomPolicy, httpOnly } from 'nestjs-realtime';
import { RealtimeThrottlerGuard, RealtimeThrottlerModule, RealtimeThrottlerStorage } from 'nestjs-realtime/throttler';
import type { CanJoin, CanPublish, JoinDecision, Principal, RoomContext } from 'nestjs-realtime';
declare const realtime: RealtimeService;
declare const rooms: RoomManager;
declare const presence: PresenceService;
declare const token: string;
declare let messages: unknown[];
declare function loadEverything(): Promise<unknown[]>;
declare const audit: { write(...what: string[]): void };
declare const sessions: { find(cookie: string | undefined): Promise<{ id: string; roles: string[]; sessionEndsAt: number } | undefined> };
interface PlaceOrder { sku: number }
declare class Orders { insertOnce(key: string, userId: string, body: PlaceOrder): Promise<{ id: string }> }
declare const outbox: {
  lockOldest(count: number): Promise<{ key: number; userId: string; event: string; data: unknown }[]>;
  delete(key: number): Promise<void>;
};
declare class ChatService { find(id: string): Promise<{ title: string; members: string[] } | undefined> }
`;

/** Files of the reader's own that snippets import. */
const READERS_FILES = {
  'app.ts': `
import type { INestApplication } from '@nestjs/common';
export declare function createApp(): Promise<INestApplication>;
`,
};

const snippets = allPages().flatMap((page) =>
  codeBlocks(readPage(page), 'ts').map(({ code }, index) => {
    const text = page === 'README.md' ? code : `${GUIDE_PRELUDE}${code}\nexport {};`;
    return { page, number: index + 1, file: `${page.replaceAll(/\W/g, '-')}-${index + 1}.ts`, text };
  }),
);

describe('when a reader copies a snippet', () => {
  const program = createProgram({
    ...READERS_FILES,
    ...Object.fromEntries(snippets.map(({ file, text }) => [file, text])),
  });

  it('finds some in README and in the guides', () => {
    expect(snippets.filter(({ page }) => page === 'README.md').length).toBeGreaterThanOrEqual(3);
    expect(snippets.filter(({ page }) => page !== 'README.md').length).toBeGreaterThanOrEqual(6);
  });

  it.each(snippets)('compiles: $page, number $number', ({ file }) => {
    expect(problemsOf(program, file)).toEqual([]);
  });
});

describe('when a reader runs the quick start', () => {
  it('lets a client with a token join, send and receive, and nobody without one', async () => {
    const AppModule = await importQuickStart();
    const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
    try {
      await app.listen(0, '127.0.0.1');
      const { port } = app.getHttpServer().address() as AddressInfo;
      const url = `http://127.0.0.1:${port}/chat`;
      await using stranger = stockClient(url);
      expect((await stranger.inbox.next('connect_error')).args).toMatchObject([{ data: { code: 'UNAUTHORIZED' } }]);
      await using ada = await connectedClient(url, { auth: { token: mintToken('ada') } });
      expect(await ada.ask('realtime:join', { room: 'chat/42' })).toMatchObject({ room: 'chat/42' });
      expect(await ada.ask('message.send', { chatId: '42', text: 'hello' })).toEqual({ id: expect.any(String) });
      expect((await ada.inbox.next('message')).args).toMatchObject([
        { from: 'ada', text: 'hello' },
        { room: 'chat/42' },
      ]);
    } finally {
      await app.close();
    }
  });
});

/** As a file of its own, transformed like every other, inside the repository so that its imports resolve. */
async function importQuickStart(): Promise<Type> {
  const artefacts = join(ROOT, 'test-artefacts');
  mkdirSync(artefacts, { recursive: true });
  const folder = mkdtempSync(join(artefacts, 'quick-start-'));
  const file = join(folder, 'app.module.ts');
  const snippet = codeBlocks(readPage('README.md'), 'ts').find(({ code }) => code.includes('export class AppModule'));
  writeFileSync(file, snippet?.code ?? '');
  process.env['JWT_SECRET'] = TEST_SECRET;
  delete process.env['REDIS_URL'];
  try {
    return ((await import(file)) as { AppModule: Type }).AppModule;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
