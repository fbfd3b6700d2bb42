import { decodeSegment, encodeSegment } from 'nestjs-realtime-protocol';

export interface RoomPattern {
  readonly source: string;
  readonly segments: readonly PatternSegment[];
}

type PatternSegment =
  { readonly literal: string; readonly param?: undefined } | { readonly param: string; readonly literal?: undefined };

const PARAM = /^:([A-Za-z_]\w*)$/;
const LITERAL = /^[A-Za-z0-9_\-.:@|+%]+$/;

/** @throws TypeError naming the segment that is neither a literal nor `:name`. */
export function compilePattern(source: string): RoomPattern {
  const seen = new Set<string>();
  const segments = source.split('/').map((segment): PatternSegment => {
    const param = PARAM.exec(segment)?.[1];
    if (param !== undefined) {
      if (seen.has(param)) throw new TypeError(`room pattern '${source}' names the parameter ':${param}' twice`);
      seen.add(param);
      return { param };
    }
    if (segment.startsWith(':') || !LITERAL.test(segment)) {
      throw new TypeError(`room pattern '${source}' has the segment '${segment}': use a literal or ':name'`);
    }
    return { literal: literalOf(source, segment) };
  });
  return { source, segments };
}

/** The decoded parameters, or undefined if the room does not match. Literals, too, are compared with what a segment stands for. */
export function matchPattern({ segments }: RoomPattern, room: string): Record<string, string> | undefined {
  const parts = room.split('/');
  if (parts.length !== segments.length) return undefined;
  const params: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let index = 0; index < parts.length; index += 1) {
    const [segment, part] = [segments[index] as PatternSegment, parts[index] ?? ''];
    const value = decodeSegment(part);
    if (segment.literal !== undefined) {
      if (segment.literal !== value) return undefined;
      continue;
    }
    if (value === undefined || value === '') return undefined;
    params[segment.param] = value;
  }
  return params;
}

/** Negative if `a` is more specific: literal before parameter, segment by segment. 0: they match the same rooms. */
export function compareSpecificity(a: RoomPattern, b: RoomPattern): number {
  if (a.segments.length !== b.segments.length) return a.segments.length - b.segments.length;
  for (const [index, left] of a.segments.entries()) {
    const right = b.segments[index];
    const difference = Number(left.literal === undefined) - Number(right?.literal === undefined);
    if (difference !== 0) return difference;
    if (left.literal !== undefined && left.literal !== right?.literal)
      return left.literal < (right?.literal ?? '') ? -1 : 1;
  }
  return 0;
}

/** What the literal stands for; it is written as in the names of rooms. */
function literalOf(source: string, segment: string): string {
  const value = decodeSegment(segment);
  if (value !== undefined && encodeSegment(value) === segment) return value;
  const advice = value === undefined ? 'an escape in it stands for no character' : `write '${encodeSegment(value)}'`;
  throw new TypeError(`room pattern '${source}' has the segment '${segment}', which no room has: ${advice}`);
}
