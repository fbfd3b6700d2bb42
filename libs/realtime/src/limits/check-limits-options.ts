import type { LimitsOptions } from './limits-options.js';

type Check = (value: unknown, name: string) => string[];

const numberFrom =
  (lowest: number, isInteger = true): Check =>
  (value, name) => {
    const isRight = typeof value === 'number' && Number.isFinite(value) && value >= lowest;
    if (isRight && (!isInteger || Number.isInteger(value))) return [];
    return [`${name} must be ${isInteger ? 'an integer' : 'a number'} >= ${lowest}, not ${show(value)}`];
  };

const oneOf =
  (...values: string[]): Check =>
  (value, name) =>
    typeof value === 'string' && values.includes(value)
      ? []
      : [`${name} must be ${values.map((known) => `'${known}'`).join(' or ')}, not ${show(value)}`];

const boolean: Check = (value, name) =>
  typeof value === 'boolean' ? [] : [`${name} must be true or false, not ${show(value)}`];

const shape =
  (checks: Record<string, Check>): Check =>
  (value, name) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return [`${name} must be an object, not ${show(value)}`];
    return Object.entries(value).flatMap(([key, given]) => {
      if (given === undefined) return [];
      const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
      return check?.(given, `${name}.${key}`) ?? [`${name}.${key} is not an option`];
    });
  };

const CHECKS = {
  messagesPerSecond: numberFrom(0, false),
  burst: numberFrom(1),
  joinsPerSecond: numberFrom(0, false),
  joinBurst: numberFrom(1),
  userShares: numberFrom(0),
  newRoomsPerSecond: numberFrom(0, false),
  maxPayloadBytes: numberFrom(1_024),
  maxRooms: numberFrom(0),
  namespacesPerTransport: numberFrom(0),
  dynamicNamespaces: numberFrom(0),
  maxSendBufferBytes: numberFrom(0),
  maxSendBufferMessages: numberFrom(0),
  transports: shape({ hard: numberFrom(0), soft: numberFrom(0) }),
  newTransportsPerSecond: numberFrom(0, false),
  transportsPerUser: shape({
    max: numberFrom(0),
    onFull: oneOf('reject', 'evict-oldest'),
    whenUnavailable: oneOf('allow', 'reject'),
    replaceDevice: boolean,
  }),
  transportsPerIp: numberFrom(0),
  failedConnectsPerIp: shape({ perSecond: numberFrom(0, false), burst: numberFrom(1) }),
  silentTransportsPerIp: numberFrom(0),
  abuse: shape({ maxRefusals: numberFrom(0), windowMs: numberFrom(1) }),
} satisfies Record<keyof LimitsOptions, Check>;

/** @returns all that is wrong, each line with the option's full name; nothing if the options can be used. */
export function checkLimitsOptions(options: unknown): string[] {
  if (options === undefined) return [];
  const problems = shape(CHECKS)(options, 'limits');
  return problems.length > 0 ? problems : checkTogether(options as LimitsOptions);
}

/** Rules between options, checked once each of them is right alone. */
function checkTogether({ transports, maxPayloadBytes, maxSendBufferBytes }: LimitsOptions): string[] {
  const problems: string[] = [];
  const { hard = 0, soft = 0 } = transports ?? {};
  if (hard > 0 && soft > hard)
    problems.push(`limits.transports.soft (${soft}) is above limits.transports.hard (${hard}) and would never act`);
  const payload = maxPayloadBytes ?? 65_536;
  const buffer = maxSendBufferBytes ?? 1_048_576;
  if (buffer > 0 && buffer < payload)
    problems.push(
      `limits.maxSendBufferBytes (${buffer}) is below limits.maxPayloadBytes (${payload}): one echoed message would end the transport`,
    );
  return problems;
}

function show(value: unknown): string {
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value);
}
