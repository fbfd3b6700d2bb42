import { ManualClock } from '../testing/manual-clock.js';
import { checkOrigin, checkOriginOptions, type OriginOptions, type OriginRequest } from './origin.js';

const request = (host: string, origin?: string | string[], forwarded?: string): OriginRequest => {
  const origins = origin === undefined ? [] : [origin].flat();
  return {
    headers: {
      host,
      ...(origins.length === 0 ? {} : { origin: origins.join(', ') }),
      ...(forwarded === undefined ? {} : { 'x-forwarded-host': forwarded }),
    },
    rawHeaders: ['Host', host, ...origins.flatMap((one) => ['oRiGiN', one])],
  };
};
const isAllowed = async (asked: OriginRequest, options?: OriginOptions): Promise<boolean> =>
  (await checkOrigin(asked, options)).allowed;

describe('when no origins are listed', () => {
  it.each([
    ['app.example.com', undefined],
    ['app.example.com', 'https://app.example.com'],
    ['app.example.com', 'http://app.example.com'],
    ['APP.example.com', 'https://app.example.com'],
    ['app.example.com:443', 'https://app.example.com'],
    ['localhost:3000', 'http://localhost:3000'],
    ['[::1]:3000', 'http://[::1]:3000'],
  ])('lets pages of %s in: %s', async (host, origin) => {
    expect(await isAllowed(request(host, origin))).toBe(true);
  });

  it.each([
    ['app.example.com', 'null'],
    ['app.example.com', ''],
    ['app.example.com', 'https://evil.com'],
    ['app.example.com', 'https://app.example.com.evil.com'],
    ['app.example.com', 'https://evil-app.example.com'],
    ['app.example.com', 'https://evilapp.example.com'],
    ['app.example.com', 'https://example.com'],
    ['app.example.com', 'https://app.example.com:8443'],
    ['app.example.com', 'https://app.example.com:80'],
    ['app.example.com', 'https://app.example.com.'],
    ['app.example.com', 'https://app.example.com@evil.com'],
    ['app.example.com', 'https://evil.com@app.example.com'],
    ['app.example.com', 'https://app.example.com/x'],
    ['app.example.com', 'https://app.example.com#'],
    ['app.example.com', 'HTTPS://APP.EXAMPLE.COM'],
    ['app.example.com', 'app.example.com'],
    ['app.example.com', 'file://app.example.com'],
    ['app.example.com', 'https://\u0430pp.example.com'],
    ['app.example.com/evil.com', 'https://app.example.com'],
    ['localhost:3000', 'http://localhost:3001'],
    ['localhost:3000', 'http://127.0.0.1:3000'],
  ])('keeps others out of %s: %s', async (host, origin) => {
    expect(await isAllowed(request(host, origin))).toBe(false);
  });

  it('refuses two Origin headers, even the same twice', async () => {
    expect(await isAllowed(request('a.com', ['https://a.com', 'https://evil.com']))).toBe(false);
    expect(await isAllowed(request('a.com', ['https://a.com', 'https://a.com']), { origins: () => true })).toBe(false);
  });

  it('believes a proxy only when told to', async () => {
    const behindProxy = request('10.0.0.7:3000', 'https://a.com', 'a.com, 10.0.0.1');
    expect(await isAllowed(behindProxy)).toBe(false);
    expect(await isAllowed(behindProxy, { trustProxy: true })).toBe(true);
    expect(await isAllowed(request('a.com', 'https://a.com'), { trustProxy: true })).toBe(true);
  });

  it('names the option, and nothing that the client sent', async () => {
    const verdict = await checkOrigin(request('a.com', 'https://evil.com'));
    expect(JSON.stringify(verdict)).toMatch(/`origins`/);
    expect(JSON.stringify(verdict)).not.toMatch(/evil/);
  });
});

describe('when origins are listed', () => {
  const origins = ['https://app.example.com', 'shop.example.com', 'capacitor://localhost', 'dev.example.com:8080'];

  it.each([
    ['https://app.example.com', true],
    ['http://app.example.com', false],
    ['https://app.example.com:444', false],
    ['https://shop.example.com', true],
    ['http://shop.example.com', true],
    ['https://shop.example.com:444', false],
    ['https://evil.com?shop.example.com', false],
    ['capacitor://localhost', true],
    ['http://localhost', false],
    ['http://dev.example.com:8080', true],
    ['http://dev.example.com', false],
    ['https://own.example.com', false],
    ['null', false],
  ])('answers %s with %s', async (origin, expected) => {
    expect(await isAllowed(request('own.example.com', origin), { origins })).toBe(expected);
  });

  it('reports entries that can never match', () => {
    expect(checkOriginOptions(origins)).toEqual([]);
    const bad = ['*', 'https://*.example.com', 'https://a.com/', 'null', '', 'https://a.com/path'];
    expect(checkOriginOptions(bad)).toHaveLength(bad.length);
  });
});

describe('when a function decides', () => {
  it.each([
    ['true', () => true, true],
    ['a promise of true', () => Promise.resolve(true), true],
    ['false', () => false, false],
    ['something truthy', () => 'yes' as unknown as boolean, false],
    ['a rejection', () => Promise.reject(new Error('no')), false],
  ])('takes %s', async (_name, origins, expected) => {
    expect(await isAllowed(request('a.com', 'https://b.com'), { origins })).toBe(expected);
  });

  it('refuses when it does not answer within 5 s', async () => {
    const clock = new ManualClock();
    const origins = (): Promise<boolean> => new Promise(() => undefined);
    const verdict = isAllowed(request('a.com', 'https://b.com'), { origins, clock });
    clock.advance(5_000);
    expect(await verdict).toBe(false);
    expect(clock.pending).toBe(0);
  });
});
