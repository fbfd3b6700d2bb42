import { decideSend } from './send-buffer-limit.js';

const limit = { maxBytes: 1_000, maxMessages: 100 };

describe('when a client reads slower than it is sent to', () => {
  it.each([
    { waitingBytes: 0, waitingMessages: 0, bytes: 5_000, decision: 'send' },
    { waitingBytes: 900, waitingMessages: 9, bytes: 100, decision: 'send' },
    { waitingBytes: 900, waitingMessages: 9, bytes: 101, decision: 'terminate' },
    { waitingBytes: 1, waitingMessages: 0, bytes: 1_000, decision: 'terminate' },
    { waitingBytes: 100, waitingMessages: 99, bytes: 1, decision: 'send' },
    { waitingBytes: 100, waitingMessages: 100, bytes: 1, decision: 'terminate' },
    { waitingBytes: 0, waitingMessages: 100, bytes: 1, decision: 'terminate' },
  ])('$decision: $bytes bytes behind $waitingMessages messages of $waitingBytes', ({ decision, bytes, ...buffer }) => {
    expect(decideSend(buffer, bytes, limit)).toBe(decision);
  });

  it.each([
    { off: { maxBytes: 0, maxMessages: 0 }, waitingBytes: 1e9, waitingMessages: 1e6 },
    { off: { maxBytes: 0, maxMessages: 100 }, waitingBytes: 1e9, waitingMessages: 9 },
    { off: { maxBytes: 1_000, maxMessages: 0 }, waitingBytes: 9, waitingMessages: 1e6 },
  ])('sends whatever a limit of 0 does not bound: $off', ({ off, ...buffer }) => {
    expect(decideSend(buffer, 100, off)).toBe('send');
  });
});
