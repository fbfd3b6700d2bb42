import { compareSpecificity, compilePattern, matchPattern } from './room-pattern.js';

describe('room patterns', () => {
  it.each<[string, string, Record<string, string> | undefined]>([
    ['chat/:id', 'chat/42', { id: '42' }],
    ['chat/:id', 'chat/a%20b', { id: 'a b' }],
    ['chat/:id', 'chat/', undefined],
    ['chat/:id', 'chat', undefined],
    ['chat/:id', 'chat/1/2', undefined],
    ['chat/:id', 'chat/%E0%A4%A', undefined],
    ['chat/general', 'chat/general', {}],
    ['chat/general', 'chat/General', undefined],
    ['chat/general', 'chat/%67eneral', {}],
    ['caf%C3%A9/:id', 'caf%C3%A9/1', { id: '1' }],
    ['team@x', 'team@x', {}],
    [':tenant/chat/:id', 'acme/chat/7', { tenant: 'acme', id: '7' }],
    ['a.b:c/:id', 'a.b:c/1', { id: '1' }],
    ['x/:id', 'x/__proto__', { id: '__proto__' }],
  ])('%s on %s gives %j', (pattern, room, expected) => {
    const params = matchPattern(compilePattern(pattern), room);
    expect(params === undefined ? undefined : { ...params }).toEqual(expected);
  });

  it.each(['chat/:', 'chat/:1', 'chat//x', '', 'a b', 'chat/*', ':a/:a', 'chat/%61', '100%', 'team%40x'])(
    "refuses '%s'",
    (pattern) => {
      expect(() => compilePattern(pattern)).toThrow(TypeError);
    },
  );

  it('puts literals before parameters, segment by segment', () => {
    const sorted = [':a/x', 'chat/:id', 'chat/general', ':a/:b', 'admin/:id']
      .map(compilePattern)
      .sort(compareSpecificity);
    expect(sorted.map(({ source }) => source)).toEqual(['admin/:id', 'chat/general', 'chat/:id', ':a/x', ':a/:b']);
  });

  it('knows patterns that match the same rooms', () => {
    expect(compareSpecificity(compilePattern('chat/:id'), compilePattern('chat/:name'))).toBe(0);
    expect(compareSpecificity(compilePattern('chat/:id'), compilePattern('chat/x'))).not.toBe(0);
  });
});
