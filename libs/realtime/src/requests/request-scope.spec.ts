import { RequestScope, currentRequest, nextPublicationId } from './request-scope.js';

const key = { principalId: 'ada', device: 'tab', id: 'a-_0123456789abcdefghi' };

/** Ids of a run that publishes to these rooms one after the other. */
function idsOf(rooms: string[], over: Partial<typeof key> = {}, attempt = 1): (string | undefined)[] {
  return new RequestScope({ ...key, ...over }, attempt).run(() => rooms.map((room) => nextPublicationId([room])));
}

describe('when code runs for a request', () => {
  it('knows it, across promises, and nothing outside', async () => {
    const inside = await new RequestScope(key, 2).run(async () => {
      await Promise.resolve();
      return currentRequest();
    });
    expect([inside, currentRequest(), nextPublicationId(['a'])]).toEqual([
      { id: key.id, attempt: 2 },
      undefined,
      undefined,
    ]);
  });

  it('names publications alike in every run, whatever happens in other rooms meanwhile', () => {
    const [first, second] = idsOf(['a', 'a']);
    expect(first).toMatch(/^[\w-]{22}$/);
    expect(idsOf(['b', 'a', 'b', 'a'], {}, 2).filter((_, index) => index % 2 === 1)).toEqual([first, second]);
  });

  it('names each call, room, request, device and principal apart', () => {
    const ids = [
      ...idsOf(['a', 'a', 'b']),
      ...idsOf(['a'], { id: 'another' }),
      ...idsOf(['a'], { device: 'phone' }),
      ...idsOf(['a'], { principalId: 'bob' }),
    ];
    expect(new Set(ids).size).toBe(6);
  });

  it('names nothing any more after the answer', () => {
    const scope = new RequestScope(key, 1);
    scope.run(() => {
      scope.end();
      expect([nextPublicationId(['a']), currentRequest()?.id]).toEqual([undefined, key.id]);
    });
  });
});
