import { runFixture } from './fixtures/run-fixture.js';
import { moduleOf, nestMajor, packageJson, startApp } from './support.js';

/** What a second copy of a library (CommonJS beside ESM) amounts to: the same code, evaluated again. */
function copyOfLibrary(): { Service: new () => object; token: symbol } {
  class Service {}
  return { Service, token: Symbol.for('contract:service') };
}

describe('when Nest is loaded as ESM and as CommonJS', () => {
  it('is ESM only in 12, required by CommonJS only through require(esm), and two copies agree on Symbol.for tokens alone', async () => {
    const isEsm = nestMajor >= 12;
    for (const name of ['@nestjs/core', '@nestjs/common', '@nestjs/websockets', '@nestjs/platform-socket.io']) {
      expect(packageJson(name).type).toBe(isEsm ? 'module' : undefined);
    }
    const required = await runFixture('require-nest.cjs');
    const withoutRequireEsm = await runFixture('require-nest.cjs', '', '--no-experimental-require-module');
    expect(required.stdout).toBe('required');
    expect(withoutRequireEsm.stdout).toBe(isEsm ? 'ERR_REQUIRE_ESM' : 'required');

    const [first, second] = [copyOfLibrary(), copyOfLibrary()];
    const Feature = moduleOf({
      providers: [first.Service, { provide: first.token, useExisting: first.Service }],
      exports: [first.Service, first.token],
    });
    const { app } = await startApp({ imports: [Feature] });
    expect(app.get(second.token)).toBe(app.get(first.Service));
    expect(() => app.get(second.Service)).toThrow('Service');
  });
});
