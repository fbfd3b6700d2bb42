/** What Socket.IO's clients write in the place of an attachment. */
interface Placeholder {
  readonly _placeholder: true;
  readonly num?: unknown;
}

/**
 * True if each of `count` attachments stands in exactly one place, as clients write them. Socket.IO puts one into as many
 * places as a client names: 400 placeholders make 24 MB of 60 KB when a handler sends its payload on.
 * Call it for JSON of bounded depth, before anything takes the places.
 */
export function eachIsPlacedOnce(data: unknown, count: number): boolean {
  const seen = new Set<unknown>();
  const isRight = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null) return true;
    if (!isPlaceholder(value)) return Object.values(value).every(isRight);
    const { num } = value;
    if (!Number.isInteger(num) || (num as number) < 0 || (num as number) >= count || seen.has(num)) return false;
    seen.add(num);
    return true;
  };
  return isRight(data) && seen.size === count;
}

function isPlaceholder(value: object): value is Placeholder {
  return (value as Partial<Placeholder>)._placeholder === true;
}
