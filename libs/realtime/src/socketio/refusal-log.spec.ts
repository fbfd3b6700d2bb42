import { ManualClock } from '../testing/manual-clock.js';
import { RefusalLog } from './refusal-log.js';

describe('when much is refused', () => {
  it('says one line a second and kind, and counts the others', () => {
    const clock = new ManualClock();
    const lines: string[] = [];
    const log = new RefusalLog(clock, (line) => lines.push(line));
    for (let index = 0; index < 100; index += 1) log.say('NOT_FOUND', `e${index}`, 'here');
    log.say('BAD_REQUEST', 'other', 'here');
    clock.advance(1_000);
    log.say('NOT_FOUND', 'later', 'here');
    expect(lines).toEqual([
      'Refused "e0" with NOT_FOUND here',
      'Refused "other" with BAD_REQUEST here',
      'Refused "later" with NOT_FOUND here (and 99 more since)',
    ]);
  });
});
