import { leaks } from './leak-watch.js';

/** For every spec file: what clients and Redis got while a test ran holds no secret of others. */
afterEach(() => leaks.check());
afterAll(() => {
  leaks[Symbol.dispose]();
  leaks.check();
});
