import type { IncomingHttpHeaders } from 'node:http';
import { systemClock, type Clock } from '../core/clock.js';
import { withDeadline } from './refusal.js';

// Which web pages may open a connection: browsers send cookies with a WebSocket upgrade from any page, and CORS does not
// apply to it. It says nothing about clients that are no browsers: they send no `Origin`, or any they like.
// Invariant: an origin passes by exact comparison of parsed hosts, never by prefix, suffix or pattern.

export interface OriginRequest {
  readonly headers: IncomingHttpHeaders;
  /** As Node gives them: name, value, name, value. Here a repeated header is still seen as two. */
  readonly rawHeaders: readonly string[];
}

/** Only `true` admits. A throw refuses, and so does no answer within 5 s. It is also asked about `null`, the origin of sandboxed frames and local files. */
export type OriginFilter<Request extends OriginRequest = OriginRequest> = (
  origin: string,
  request: Request,
) => boolean | Promise<boolean>;

export interface OriginOptions<Request extends OriginRequest = OriginRequest> {
  /**
   * `https://app.example.com`, or `app.example.com` for any scheme; with the port if it is not the scheme's own.
   * Default: the origin's host must be the one that the request is for.
   */
  readonly origins?: readonly string[] | OriginFilter<Request> | undefined;
  /** Compares with the first `X-Forwarded-Host` if there is one. Only behind a proxy that sets it. @default false */
  readonly trustProxy?: boolean | undefined;
  /** What the deadline of a function is measured with. @default the system's */
  readonly clock?: Clock | undefined;
}

/** Milliseconds that a function may take, as `auth.timeoutMs`: until then the request waits, and with it its socket. */
const FILTER_TIMEOUT_MS = 5_000;

/** `reason` is for the log: it names the option, and repeats nothing that the client sent. */
export type OriginVerdict = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

const ALLOWED: OriginVerdict = { allowed: true };
const HOST = /^[\w.-]+(?::\d{1,5})?$|^\[[\da-f:.]+\](?::\d{1,5})?$/i;

/** Never rejects. */
export async function checkOrigin<Request extends OriginRequest>(
  request: Request,
  options: OriginOptions<Request> = {},
): Promise<OriginVerdict> {
  if (count(request, 'origin') > 1) return refused('more than one Origin header');
  const { origin } = request.headers;
  if (origin === undefined) return ALLOWED;
  const { origins } = options;
  if (typeof origins === 'function') return askFilter(origins, options.clock ?? systemClock, [origin, request]);
  if (origins !== undefined) {
    return origins.some((entry) => matchesEntry(origin, entry)) ? ALLOWED : refused('this origin is not in `origins`');
  }
  return checkSameHost(origin, request, options.trustProxy === true);
}

/** Problems of a list of origins, each with its way out. */
export function checkOriginOptions(origins: OriginOptions['origins']): string[] {
  if (origins === undefined || typeof origins === 'function') return [];
  if (!Array.isArray(origins)) return ['origins: not a list or a function'];
  return (origins as readonly unknown[]).flatMap((entry) => {
    if (typeof entry === 'string' && (HOST.test(entry) || isOrigin(entry)) && entry !== 'null') return [];
    return [`origins: '${String(entry)}' is not a host or an origin; patterns are not supported, use a function`];
  });
}

async function askFilter<Request extends OriginRequest>(
  filter: OriginFilter<Request>,
  clock: Clock,
  args: Parameters<OriginFilter<Request>>,
): Promise<OriginVerdict> {
  try {
    const answer = await withDeadline(clock, FILTER_TIMEOUT_MS, () => filter(...args));
    return answer === true ? ALLOWED : refused('the `origins` function says no');
  } catch {
    return refused('the `origins` function threw, or took too long');
  }
}

function checkSameHost(origin: string, request: OriginRequest, trustProxy: boolean): OriginVerdict {
  const url = webOrigin(origin);
  if (url === undefined) return refused('not the origin of a web page; list it in `origins`');
  const forwarded = trustProxy ? request.headers['x-forwarded-host'] : undefined;
  const [first] = String(forwarded ?? '').split(',');
  const own = forwarded === undefined ? request.headers.host : first?.trim();
  if (forwarded === undefined && count(request, 'host') > 1) return refused('more than one Host header');
  const isSame = own !== undefined && hostOf(own, url.protocol) === url.host;
  return isSame ? ALLOWED : refused('the page comes from another host; list its origin in `origins`');
}

function matchesEntry(origin: string, entry: string): boolean {
  if (entry.includes('://')) return origin === entry || (webOrigin(entry)?.origin ?? '-') === webOrigin(origin)?.origin;
  const url = webOrigin(origin);
  if (url !== undefined) return hostOf(entry, url.protocol) === url.host;
  // An app's own scheme (`capacitor://localhost`): nothing to normalise.
  return origin.toLowerCase().split('://')[1] === entry.toLowerCase();
}

/** An origin exactly as browsers write it (RFC 6454 §6.2), so neither path nor user nor capital letters. */
function webOrigin(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.origin === text ? url : undefined;
}

/** As a URL of this scheme would have it: lower case, without the scheme's own port. Undefined: not a host. */
function hostOf(text: string, protocol: string): string | undefined {
  if (!HOST.test(text) || !URL.canParse(`${protocol}//${text}`)) return undefined;
  return new URL(`${protocol}//${text}`).host;
}

function isOrigin(entry: string): boolean {
  return /^https?:/i.test(entry)
    ? HOST.test(webOrigin(entry)?.host ?? '')
    : /^[a-z][a-z\d+.-]*:\/\/[\w.-]*$/i.test(entry);
}

function count(request: OriginRequest, name: string): number {
  return request.rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length;
}

function refused(reason: string): OriginVerdict {
  return { allowed: false, reason };
}
