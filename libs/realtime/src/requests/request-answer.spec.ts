import { settlementOf } from './request-answer.js';

const MAX = 64;
const error = (code: string, more: object = {}) => ({ error: { code, message: 'm', retryable: false, ...more } });

describe('when a request was answered', () => {
  it.each([
    ['a value', { a: [1, null] }, { kind: 'answer', body: '{"a":[1,null]}' }],
    ['null', null, { kind: 'answer', body: 'null' }],
    ['undefined', undefined, { kind: 'answer', body: 'null' }],
    ['a function, which nobody can send', () => 1, { kind: 'answer', body: 'null' }],
    ['a date as it is sent', { at: new Date(0) }, { kind: 'answer', body: '{"at":"1970-01-01T00:00:00.000Z"}' }],
    ['an answer of exactly the limit', 'x'.repeat(MAX - 2), { kind: 'answer', body: `"${'x'.repeat(MAX - 2)}"` }],
  ])('keeps %s', (_, ack, expected) => expect(settlementOf(ack, MAX)).toEqual(expected));

  it.each([
    ['is too long', 'x'.repeat(MAX - 1)],
    ['is too long in bytes', 'ä'.repeat(MAX / 2)],
    ['is binary', Buffer.from('x')],
    ['holds something binary', { deep: [{ data: new Uint8Array(1) }] }],
  ])('keeps only that it happened of what %s', (_, ack) => expect(settlementOf(ack, MAX)).toEqual({ kind: 'applied' }));

  it('keeps an error that is final, without its details if those are too long', () => {
    expect(settlementOf(error('CONFLICT'), MAX)).toMatchObject({ kind: 'answer' });
    const body = JSON.stringify(error('CONFLICT'));
    expect(settlementOf(error('CONFLICT', { details: 'x'.repeat(MAX) }), MAX)).toEqual({ kind: 'answer', body });
    expect(settlementOf(error('CONFLICT', { message: 'x'.repeat(MAX) }), MAX)).toEqual({ kind: 'applied' });
  });

  it.each([
    ['UNAVAILABLE', 'release'],
    ['INTERNAL', 'release'],
    ['TOKEN_EXPIRED', 'release'],
    ['RATE_LIMITED', 'forget'],
  ])('lets what failed with %s run again (%s)', (code, kind) => {
    expect(settlementOf(error(code, { retryable: true }), MAX)).toEqual({ kind });
  });

  it('throws for what cannot be sent either', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(() => settlementOf(cycle, MAX)).toThrow(TypeError);
    expect(() => settlementOf(1n, MAX)).toThrow(TypeError);
  });
});
