import { monotonicMicros } from '../clock.js';
import type { Content } from '../harness/messages.js';
import type { Message } from '../load/wire.js';

type Body = Omit<Message, 'at' | 'n'>;

/** So many that no message comes again while a deflate window still holds it. */
const VARIANTS = 64;
const NAMES = ['Ada', 'Bob', 'Eve', 'Grace', 'Linus', 'Margaret'];
const KINDS = ['moved', 'edited', 'resized', 'deleted'];

/** What messages of so many bytes of JSON hold besides their time; to be sent in turn. */
export function bodiesOf(bytes: number, content: Content = 'padding'): readonly Body[] {
  const random = new Random();
  if (content === 'records') return Array.from({ length: VARIANTS }, () => ({ records: recordsOf(bytes, random) }));
  return [{ text: 'x'.repeat(Math.max(1, bytes - sizeOf({ text: '' }))) }];
}

/** As many as fit; a point alone if none does. */
function recordsOf(bytes: number, random: Random): readonly object[] {
  const records: object[] = [];
  for (let size = sizeOf({ records }); ;) {
    const record = recordOf(random);
    size += JSON.stringify(record).length + 1;
    if (size > bytes) return records.length > 0 ? records : [pointOf(random)];
    records.push(record);
  }
}

/** About 150 bytes of what an editor or a dashboard sends: keys and words repeat, numbers do not. */
function recordOf(random: Random): object {
  return {
    id: random.below(2 ** 31).toString(36),
    at: 1_700_000_000_000 + random.below(2 ** 31),
    by: { id: `user-${random.below(1_000)}`, name: NAMES[random.below(NAMES.length)] },
    kind: KINDS[random.below(KINDS.length)],
    position: pointOf(random),
    isPinned: random.below(2) === 1,
  };
}

function pointOf(random: Random): object {
  return { x: random.below(1_920), y: random.below(1_080) };
}

function sizeOf(body: Body): number {
  return JSON.stringify({ at: monotonicMicros(), ...body }).length;
}

/** The same for every server: a linear congruential generator with the constants of Numerical Recipes. */
class Random {
  private state = 1;

  below(limit: number): number {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * limit);
  }
}
