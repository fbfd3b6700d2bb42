import fc from 'fast-check';
import { Encoder, PacketType } from 'socket.io-parser';
import type { EncodedEvent } from '../core/link.js';
import { ManualClock } from '../testing/manual-clock.js';
import { boundedParser } from './bounded-parser.js';
import { packetOf } from './encoded-packet.js';

const { Encoder: OurEncoder } = boundedParser({ clock: new ManualClock(), attachmentsWithinMs: 1_000 });

function eventOf(content: unknown[], attachments: Uint8Array[] = []): EncodedEvent {
  return { json: JSON.stringify(content), attachments, content };
}

describe('an event that was encoded before', () => {
  it('becomes the frames that Socket.IO would make of its content, in every namespace', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom('/', '/chat', '/a/b'), (data, nsp) => {
        const content = ['event', JSON.parse(JSON.stringify(data)), { room: 'r' }];
        const packet = Object.assign(packetOf(eventOf(content)), { nsp });
        const stock = { type: PacketType.EVENT, nsp, data: content };
        expect(new OurEncoder().encode(packet as never)).toEqual(new Encoder().encode(stock));
      }),
    );
  });

  it('has its binary values behind it', () => {
    const attachments = [Buffer.from('a'), Buffer.from('b')];
    const content = ['event', { a: { _placeholder: true, num: 0 }, b: [{ _placeholder: true, num: 1 }] }];
    const packet = Object.assign(packetOf(eventOf(content, attachments)), { nsp: '/chat' });
    const stock = { type: PacketType.EVENT, nsp: '/chat', data: ['event', { a: attachments[0], b: [attachments[1]] }] };
    expect(new OurEncoder().encode(packet as never)).toEqual(new Encoder().encode(stock));
  });

  it('is framed once for all sockets of a namespace, and decoded only for who looks', () => {
    let looks = 0;
    const event: EncodedEvent = {
      json: '["event",1]',
      attachments: [],
      get content() {
        looks += 1;
        return ['event', 1];
      },
    };
    const packet = packetOf(event);
    expect(packetOf(event)).toBe(packet);
    const frames = packet.encode();
    expect(packet.encode()).toBe(frames);
    packet.nsp = '/chat';
    expect(packet.encode()).toEqual(['2/chat,["event",1]']);
    expect(looks).toBe(0);
    expect([packet.data, looks]).toEqual([['event', 1], 1]);
  });
});

it('encodes what Socket.IO itself sends as always', () => {
  const packet = { type: PacketType.ACK, nsp: '/', id: 3, data: [1] };
  expect(new OurEncoder().encode(packet)).toEqual(['33[1]']);
});
