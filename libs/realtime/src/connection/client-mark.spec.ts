import { clientMark } from './client-mark.js';

describe('when a client names its device', () => {
  it.each(['phone', 'x'.repeat(64), 'Gerät 📱'])('takes %s', (device) => {
    expect(clientMark({ rt: { v: 1, device } })).toEqual({ v: 1, device });
  });

  it.each([
    ['nothing', ''],
    ['65 characters', 'x'.repeat(65)],
    ['a control character', 'a\u0000'],
    ['a line feed', 'a\nb'],
    ['an escape', '\u009b2J'],
    ['half a character', 'a\ud800'],
    ['no text', 5],
  ])('is labelled by us when it says %s', (_name, device) => {
    expect(clientMark({ rt: { v: 1, device } })).toEqual({ v: 1 });
  });
});
