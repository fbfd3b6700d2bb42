import { decodeRoomMessage, encodeRoomMessage, type RoomMessage } from './room-message.js';

describe('what travels on a room channel', () => {
  it.each<RoomMessage>([
    { event: 'a', data: { x: [1, null, 'ü\u2028'] }, meta: { room: 'r', id: '1' } },
    { event: 'a', data: null, meta: { room: 'r' }, exclude: ['c1'], isVolatile: true, deliveredBy: 'n1' },
    { event: 'a', data: 0, meta: { room: 'r' }, exclude: [] },
  ])('comes out as it went in: %j', (message) => {
    const payload = encodeRoomMessage(message);
    expect(payload.startsWith('m')).toBe(true);
    expect(decodeRoomMessage(payload)).toEqual({
      exclude: undefined,
      deliveredBy: undefined,
      isVolatile: false,
      ...message,
    });
  });

  it.each([
    'm',
    'm{}',
    'mnull',
    'm[]',
    'm[1,2,{"room":"r"}]',
    'm["a",1]',
    'm["a",1,{"room":5}]',
    'm["a",1,null]',
    'mnot json',
  ])('is ignored when it is not ours: %s', (payload) => expect(decodeRoomMessage(payload)).toBeUndefined());

  it('drops excluded ids that are not text', () => {
    expect(decodeRoomMessage('m["a",1,{"room":"r"},[1,"c",null],0,0]')?.exclude).toEqual(['c']);
  });
});
