import { decideSend } from './send-buffer-limit.js';

const limit = { maxBytes: 1_000, maxMessages: 100 };

describe('when a client reads slower than it is sent to', () => {
  it.each([
    { waitingBytes: 0, waitingMessages: 0, bytes: 5_000, isVolatile: false, decision: 'send' },
    { waitingBytes: 0, waitingMessages: 0, bytes: 5_000, isVolatile: true, decision: 'send' },
    { waitingBytes: 900, waitingMessages: 9, bytes: 100, isVolatile: false, decision: 'send' },
    { waitingBytes: 900, waitingMessages: 9, bytes: 101, isVolatile: false, decision: 'terminate' },
    { waitingBytes: 100, waitingMessages: 100, bytes: 1, isVolatile: false, decision: 'terminate' },
    { waitingBytes: 200, waitingMessages: 2, bytes: 50, isVolatile: true, decision: 'send' },
    { waitingBytes: 200, waitingMessages: 2, bytes: 51, isVolatile: true, decision: 'drop' },
    { waitingBytes: 25, waitingMessages: 25, bytes: 1, isVolatile: true, decision: 'drop' },
    { waitingBytes: 999_999, waitingMessages: 9, bytes: 1, isVolatile: true, decision: 'drop' },
  ])('$decision: $bytes bytes (volatile: $isVolatile) behind $waitingBytes', ({ decision, ...row }) => {
    expect(decideSend(row, row, limit)).toBe(decision);
  });

  it('sends everything when both limits are 0', () => {
    const off = { maxBytes: 0, maxMessages: 0 };
    expect(decideSend({ waitingBytes: 1e9, waitingMessages: 1e6 }, { bytes: 1e6, isVolatile: true }, off)).toBe('send');
  });
});
