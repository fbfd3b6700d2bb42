import { readEnvelope } from './request-envelope.js';

const id = 'a-_0123456789abcdefghi';

describe('when an argument may be an envelope', () => {
  it('reads one that is exactly that', () => {
    expect(id).toHaveLength(22);
    expect(readEnvelope({ $rt: { id, attempt: 3 } })).toEqual({ id, attempt: 3 });
    expect(readEnvelope({ $rt: { id, attempt: 1, later: true } })).toEqual({ id, attempt: 1 });
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', '$rt'],
    ['a list', [{ $rt: { id, attempt: 1 } }]],
    ['more keys', { $rt: { id, attempt: 1 }, data: 1 }],
    ['a short id', { $rt: { id: id.slice(1), attempt: 1 } }],
    ['a long id', { $rt: { id: id.repeat(3), attempt: 1 } }],
    ['an id that is no base64url', { $rt: { id: `${id}=`, attempt: 1 } }],
    ['an id that is no text', { $rt: { id: 22, attempt: 1 } }],
    ['no attempt', { $rt: { id } }],
    ['attempt 0', { $rt: { id, attempt: 0 } }],
    ['half an attempt', { $rt: { id, attempt: 1.5 } }],
    ['an attempt beyond whole numbers', { $rt: { id, attempt: 2 ** 60 } }],
    ['an inherited $rt', Object.create({ $rt: { id, attempt: 1 } }) as unknown],
  ])('leaves %s to the app', (_, value) => expect(readEnvelope(value)).toBeUndefined());
});
