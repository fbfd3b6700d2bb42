/** How a publication is delivered; a line of JSON before its body, `{}` as a rule. */
export interface PublicationHeader {
  /** Connection ids that do not get it. */
  readonly x?: readonly string[];
  /** User id and device of those, as far as the publishing node knew them: recovery leaves it out for them, too. */
  readonly d?: readonly (readonly [userId: string, device: string])[];
  /** May be dropped for a client that is not ready to receive. */
  readonly v?: 1;
  /** The node that has delivered it to its own members already (`emit`). */
  readonly n?: string;
  /** Attachments in base64. */
  readonly b?: readonly string[];
  /** Unix time in milliseconds after which it is not recovered, by the clock of the publishing node; the log has its own. */
  readonly t?: number;
}

const NO_HEADER: PublicationHeader = {};
const NO_ATTACHMENTS: readonly Uint8Array[] = [];

/** The first line of a publication's text; undefined if it is not ours. */
export function parseHeader(text: string): PublicationHeader | undefined {
  if (text.startsWith('{}\n')) return NO_HEADER;
  const end = text.indexOf('\n');
  if (end === -1) return undefined;
  try {
    const header: unknown = JSON.parse(text.slice(0, end));
    return isHeader(header) ? header : undefined;
  } catch {
    return undefined;
  }
}

/** Whether this connection was not excluded, under its id or, having come back, as the device that it is. */
export function isForMember(
  { x, d }: PublicationHeader,
  member: {
    readonly link: { readonly id: string };
    readonly principal: { readonly id: string };
    readonly device: string;
  },
): boolean {
  if (x?.includes(member.link.id)) return false;
  return !d?.some(([userId, device]) => userId === member.principal.id && device === member.device);
}

export function attachmentsOf({ b }: PublicationHeader): readonly Uint8Array[] {
  return b === undefined ? NO_ATTACHMENTS : b.map((base64) => Buffer.from(base64, 'base64'));
}

function isHeader(value: unknown): value is PublicationHeader {
  if (typeof value !== 'object' || value === null) return false;
  const { x, d, v, n, b, t } = value as Record<string, unknown>;
  return (
    isListOf(x, isText) &&
    isListOf(d, (pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isText)) &&
    (v === undefined || v === 1) &&
    (n === undefined || isText(n)) &&
    isListOf(b, isText) &&
    (t === undefined || Number.isFinite(t))
  );
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return value === undefined || (Array.isArray(value) && value.every(isItem));
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
