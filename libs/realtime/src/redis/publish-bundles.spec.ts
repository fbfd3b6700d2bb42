import fc from 'fast-check';
import { PublishBundles, bundle, unbundle } from './publish-bundles.js';

function start() {
  const sent: [channel: string, message: string][] = [];
  const bundles = new PublishBundles((channel, message) => {
    sent.push([channel, message]);
    return message.includes('bad') ? Promise.reject(new Error(`refused ${sent.length}`)) : Promise.resolve(sent.length);
  });
  const heard = (channel: string) => sent.flatMap(([to, message]) => (to === channel ? unbundle(message) : []));
  return { sent, bundles, heard };
}

describe('what is published in one go', () => {
  it('travels in one message for each channel, in the order of the calls', async () => {
    const { sent, bundles, heard } = start();
    const all = Array.from({ length: 300 }, (_, i) => bundles.publish(i % 3 === 0 ? 'b' : 'a', String(i)));
    expect(sent).toEqual([]);
    await Promise.all(all);
    expect(sent.map(([channel]) => channel)).toEqual(['b', 'a']);
    expect(heard('b')).toEqual(Array.from({ length: 100 }, (_, i) => String(3 * i)));
    expect(heard('a')).toHaveLength(200);
  });

  it('is the payload itself when it is alone', async () => {
    const { sent, bundles } = start();
    await bundles.publish('a', 'm\nalone');
    await bundles.publish('a', '');
    expect(sent).toEqual([
      ['a', 'm\nalone'],
      ['a', ''],
    ]);
  });

  it('has left when the next thing is sent', () => {
    const { sent, bundles } = start();
    void bundles.publish('a', '1');
    void bundles.publish('a', '2');
    bundles.flush();
    void bundles.publish('a', '3');
    bundles.flush();
    bundles.flush();
    expect(sent.map(([, message]) => unbundle(message))).toEqual([['1', '2'], ['3']]);
  });

  it('is parted before it is longer than a message should be', async () => {
    const { sent, bundles, heard } = start();
    const payloads = [...Array.from({ length: 5 }, (_, i) => String(i).repeat(30_000)), 'x'.repeat(100_000), 'last'];
    await Promise.all(payloads.map((payload) => bundles.publish('a', payload)));
    expect(heard('a')).toEqual(payloads);
    expect(sent.map(([, message]) => unbundle(message)!.length)).toEqual([2, 2, 1, 1, 1]);
  });

  it('is refused together, and nothing else is', async () => {
    const { bundles } = start();
    const results = await Promise.allSettled([
      bundles.publish('a', 'good'),
      bundles.publish('a', 'bad'),
      bundles.publish('b', 'good'),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  });
});

describe('a bundle', () => {
  it('gives back what was put in, whatever that is', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', '\u0001', '\u00013,4\n', '\n', ',', 'm\n{}\n"e",1', '👩‍👩‍👧'),
    );
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 20 }), (payloads) => {
        // As Redis carries it.
        expect(unbundle(Buffer.from(bundle(payloads)).toString())).toEqual(payloads);
      }),
    );
  });

  it.each([
    '\u0001',
    '\u0001\n',
    '\u00011\n',
    '\u00011\nab',
    '\u00011,\na',
    '\u0001-1,2\na',
    '\u00011e0\na',
    '\u00011',
  ])('that is none of ours (%j) is told apart', (message) => {
    expect(unbundle(message)).toBeUndefined();
  });
});
