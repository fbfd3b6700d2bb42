import { jest } from '@jest/globals';
import { promised } from '../support/promised.js';
import { FULL_TIMEOUT_MS, IS_FULL, judgeBound } from '../support/scale.js';
import { OutageStory, type Outage } from './outage-story.js';

if (IS_FULL) jest.setTimeout(FULL_TIMEOUT_MS);

const OUTAGES: Record<string, Outage> = {
  'killed, and comes back empty': { begin: (redis) => redis.stop(), end: (redis) => redis.restart() },
  'stopped, and goes on where it was': {
    begin: (redis) => Promise.resolve(redis.pause()),
    end: (redis) => Promise.resolve(redis.resume()),
  },
};
const SOURCE = 'docs/architecture.md, Degraded: Redis is away';
const SAID_WITHIN_MS = promised(5_000, SOURCE);
const WHOLE_WITHIN_MS = promised(10_000, SOURCE);
/** Of the users who come, go and die in the story. */
const OTHERS = /zz-leaver|zz-newcomer|zz-mortal/;

describe('when Redis goes away', () => {
  const stories = new Map<string, OutageStory>();

  // At the same time: most of each is a lease in which nothing happens.
  beforeAll(async () => {
    const plays = Object.entries(OUTAGES).map(async ([name, outage]) =>
      stories.set(name, await OutageStory.of(outage)),
    );
    const failed = (await Promise.allSettled(plays)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  });

  afterAll(async () => {
    const ends = await Promise.allSettled([...stories.values()].map((story) => story[Symbol.asyncDispose]()));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  });

  describe.each(Object.keys(OUTAGES))('%s', (name) => {
    let story: OutageStory;

    beforeAll(() => {
      story = stories.get(name)!;
    });

    it('says so on all nodes, when it is gone and when it is back, and stays ready and alive', () => {
      const { live, ready, at, cluster } = story;
      expect(live.all.filter(({ value }) => value.some(({ status }) => status !== 200))).toEqual([]);
      expect(ready.all.filter(({ value }) => value.some(({ status }) => status !== 200))).toEqual([]);
      expect(cluster.nodes.filter(({ isRunning }) => !isRunning)).toHaveLength(1);
      judgeBound('all nodes say degraded', at.degraded - at.away, SAID_WITHIN_MS);
      judgeBound('all nodes say up', at.up - at.back, SAID_WITHIN_MS);
    });

    it('goes on locally: what a node emits reaches its own clients, all of it and at once', () => {
      const { tabs, ticks, echoes } = story;
      expect(tabs.all.map(({ client }) => client.socket.connected)).toEqual(tabs.all.map(() => true));
      expect(echoes).toEqual(tabs.all.map(() => true));
      for (const each of ticks) {
        expect(each.missing()).toEqual([]);
        judgeBound('longest pause between ticks', each.longestPauseMs(), promised(1_000, SOURCE));
      }
    });

    it('lets a new client in, and says that the room cannot be joined yet', () => {
      expect(story.newcomersJoin).toMatchObject({ error: { code: 'UNAVAILABLE', retryable: true } });
    });

    it('refuses publications to the cluster with a code', () => {
      const codes = story.senders.flatMap((sender) => sender.codes);
      expect(codes).toContain('UNAVAILABLE');
      // `UNKNOWN`: what was on its way when Redis was killed has no id to be tried again with.
      expect(['UNAVAILABLE', 'UNKNOWN']).toEqual(expect.arrayContaining(codes));
    });

    it('announces nobody who stayed, neither meanwhile nor later, and the others once', () => {
      expect(story.announcedMeanwhile.filter((change) => !change.includes('zz-leaver'))).toEqual([]);
      expect(story.announced().filter((change) => !OTHERS.test(change))).toEqual([]);
      for (const tab of story.tabs.all) {
        expect([tab.story.leaves('zz-leaver'), tab.story.joins('zz-newcomer'), tab.story.holes]).toEqual([1, 1, []]);
        expect([tab.story.joins('zz-mortal'), tab.story.leaves('zz-mortal')]).toEqual([1, 1]);
      }
    });

    it('is whole again: presence on all nodes, publications, and what was revoked before', () => {
      const { at, thief } = story;
      expect(thief).toMatchObject({ data: { code: 'REVOKED' } });
      judgeBound('presence right on all nodes', at.whole - at.back, WHOLE_WITHIN_MS);
      judgeBound('publications reach all nodes', at.published - at.back, WHOLE_WITHIN_MS);
    });

    it('logs a line for each change of state and connection, not one for each failure', () => {
      for (const [index, { log }] of story.cluster.nodes.entries()) {
        const lines = log.trim().split('\n');
        if (lines.length > 4 * Math.max(1, story.timesDegraded(index))) throw new Error(log);
      }
    });
  });
});
