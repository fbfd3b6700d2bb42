import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import proxyAddr from 'proxy-addr';

/**
 * Which proxies may say who the client is, as in Express: `false` (default) nobody; `true` everybody, only safe if no client
 * can reach the node directly; a number of hops; or addresses, CIDR ranges and `loopback`, `linklocal`, `uniquelocal`.
 */
export type TrustProxy = boolean | number | string | readonly string[];

/** Reads a request's client address. `unknown` if its socket is already gone. */
export type ClientAddress = (request: Pick<IncomingMessage, 'headers' | 'socket'>) => string;

type Trust = (address: string, hop: number) => boolean;

/** @returns what is wrong with the option; nothing if it can be used. */
export function checkTrustProxy(option: unknown): string[] {
  if (option === undefined || typeof option === 'boolean') return [];
  if (typeof option === 'number')
    return Number.isInteger(option) && option >= 0
      ? []
      : [`trustProxy is ${option}: a number of hops is an integer >= 0`];
  const ranges = typeof option === 'string' ? option.split(',') : option;
  if (!Array.isArray(ranges) || !ranges.every((range): range is string => typeof range === 'string'))
    return ['trustProxy must be a boolean, a number of hops, an address or a list of addresses'];
  return ranges.flatMap((range) => {
    try {
      proxyAddr.compile(range.trim());
      return [];
    } catch {
      return [`trustProxy has '${range}', which is no address, range or one of loopback, linklocal, uniquelocal`];
    }
  });
}

/** A forged `X-Forwarded-For` is ignored: only what a trusted proxy appended counts, and only if it is an address. */
export function clientAddress(option: TrustProxy | undefined): ClientAddress {
  const trust = compileTrust(option ?? false);
  return (request) => {
    const peer = request.socket?.remoteAddress;
    if (peer === undefined) return 'unknown';
    if (trust === neverTrust) return withoutMapping(peer);
    // Nearest first. A hop that is not an address cannot be the client: the hop that reported it is the last one known.
    const hops = proxyAddr.all(request as IncomingMessage, trust).map(withoutPort);
    const firstBad = hops.findIndex((hop) => isIP(hop) === 0);
    return withoutMapping(hops.at(firstBad === -1 ? -1 : firstBad - 1) ?? peer);
  };
}

/**
 * What limits count by. An IPv4 address written as IPv6 is itself: all of them are in one /64. A client owns its whole IPv6 /64 (RFC 6177), so single addresses of it must not count apart.
 */
export function addressKey(given: string): string {
  const address = withoutMapping(given);
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const start = head === '' ? [] : head.split(':');
  const end = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - start.length - end.length);
  const groups = [...start, ...Array.from({ length: zeros }, () => '0'), ...end];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

const neverTrust: Trust = () => false;

function compileTrust(option: TrustProxy): Trust {
  if (option === false || option === 0) return neverTrust;
  if (option === true) return () => true;
  if (typeof option === 'number') return (_address, hop) => hop < option;
  const ranges = typeof option === 'string' ? option.split(',') : [...option];
  return proxyAddr.compile(ranges.map((range) => range.trim()));
}

/** Some proxies append `1.2.3.4:5678` or `[::1]:5678`. */
function withoutPort(hop: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^([\d.]+):\d+$/.exec(hop)?.[1] ?? hop;
}

function withoutMapping(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}
