import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NestExpressApplication } from '@nestjs/platform-express';

/** The page, and under `/lib` the ES modules that its import map names: the packages' own builds, no bundler. */
export function serveWeb(app: NestExpressApplication): void {
  app.useStaticAssets(join(import.meta.dirname, 'public'));
  for (const name of ['nestjs-realtime-client', 'nestjs-realtime-protocol'])
    app.useStaticAssets(folderOf(name), { prefix: `/lib/${name}/`, index: false });
  const socketIo = join(folderOf('socket.io-client/package.json'), 'dist');
  app.useStaticAssets(socketIo, { prefix: '/lib/socket.io-client/', index: false });
}

function folderOf(specifier: string): string {
  return dirname(fileURLToPath(import.meta.resolve(specifier)));
}
