import { MAX_LOG_BYTES, MAX_LOG_ENTRIES, boundRange, boundRetention, idDigest, payloadDigest } from './log-bounds.js';

describe('bounds of a log', () => {
  it.each([
    [{ limit: 1e9 }, { limit: MAX_LOG_ENTRIES, maxBytes: MAX_LOG_BYTES }],
    [
      { limit: -1, maxBytes: Infinity },
      { limit: 0, maxBytes: MAX_LOG_BYTES },
    ],
    [
      { limit: Number.NaN, maxBytes: Number.NaN },
      { limit: 0, maxBytes: 0 },
    ],
    [
      { limit: 2.9, after: -5, before: 1e300 },
      { limit: 2, after: 0, before: Number.MAX_SAFE_INTEGER },
    ],
    [
      { limit: 1, after: Number.NaN, before: 0.5 },
      { limit: 1, after: 0, before: 0 },
    ],
  ])('make %j something that a storage can take', (range, expected) => {
    expect(boundRange(range)).toMatchObject(expected);
  });

  it('leave out what was not asked for', () => {
    expect(boundRange({ limit: 1 })).toMatchObject({ after: undefined, before: undefined });
  });

  it('keep sums with the time of day exact', () => {
    const { size, ttlMs } = boundRetention({ size: Infinity, ttlMs: Infinity });
    expect([Number.isSafeInteger(size), Number.isSafeInteger(2 * ttlMs + Date.now())]).toEqual([true, true]);
  });
});

describe('the digest of a payload', () => {
  const body = '"a",{"n":1},{"room":"r","id":"i"';

  it('is that of the body and the attachments', () => {
    const plain = payloadDigest(`{}\n${body}`);
    expect(payloadDigest(`{}\n${body} `)).not.toBe(plain);
    expect(payloadDigest(`{"b":["AA=="]}\n${body}`)).not.toBe(payloadDigest(`{"b":["AQ=="]}\n${body}`));
    expect(payloadDigest(`{"x":["c"],"b":["AA=="]}\n${body}`)).toBe(payloadDigest(`{"b":["AA=="],"t":5}\n${body}`));
  });

  it('does not depend on the rest of the header', () => {
    const plain = payloadDigest(`{}\n${body}`);
    expect([`{"x":["c"]}\n${body}`, `{"v":1}\n${body}`, body].map(payloadDigest)).toEqual([plain, plain, plain]);
  });
});

it('ids of two publishers do not meet, however they are cut', () => {
  const digests = [
    idDigest({ publisher: 'a', id: 'b c' }),
    idDigest({ publisher: 'a b', id: 'c' }),
    idDigest({ publisher: 'a","b', id: 'c' }),
  ];
  expect(new Set(digests).size).toBe(3);
});
