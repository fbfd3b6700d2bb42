import { hostname } from 'node:os';

/** Published with the source: good for nothing but development. */
const DEVELOPMENT_SECRET = 'nestjs-realtime-demo-development-secret';

/** Everything the demo reads from its environment, checked once at boot. */
export class DemoConfig {
  constructor(
    readonly port: number,
    /** Undefined: one process, everything in memory. */
    readonly redisUrl: string | undefined,
    readonly jwtSecret: string,
    /** Unique in the cluster. */
    readonly nodeName: string,
    /** Addresses of all nodes when `npm run demo:cluster` runs them; empty otherwise. */
    readonly clusterUrls: readonly string[],
  ) {}

  get engine(): 'Redis' | 'memory' {
    return this.redisUrl === undefined ? 'memory' : 'Redis';
  }

  /**
   * Everybody gets a token for any name and role, and may end a node of `npm run demo:cluster`: only with the published
   * secret, with which anybody could make tokens anyway, and only for this machine.
   */
  get isDevelopment(): boolean {
    return this.jwtSecret === DEVELOPMENT_SECRET;
  }

  /** Address to listen on; undefined: all of this machine's. */
  get host(): string | undefined {
    return this.isDevelopment ? '127.0.0.1' : undefined;
  }
}

/** @throws Error that lists every problem at once. */
export function readConfig(env: Record<string, string | undefined>): DemoConfig {
  const problems: string[] = [];
  const isProduction = env['NODE_ENV'] === 'production';

  const port = Number(env['PORT'] ?? 3000);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    problems.push(`PORT must be a whole number from 0 to 65535, not '${env['PORT']}'`);

  const redisUrl = env['REDIS_URL'] || undefined;
  if (redisUrl !== undefined && !/^(rediss?|unix):\/\/./.test(redisUrl))
    problems.push('REDIS_URL must start with redis://, rediss:// or unix://');

  const jwtSecret = env['JWT_SECRET'] || (isProduction ? '' : DEVELOPMENT_SECRET);
  if (jwtSecret === '') problems.push('JWT_SECRET is required when NODE_ENV is production');
  else if (isProduction && jwtSecret === DEVELOPMENT_SECRET)
    problems.push('JWT_SECRET is the published development secret: make one of your own');
  else if (jwtSecret.length < 32) problems.push('JWT_SECRET must have at least 32 characters');

  const nodeName = env['NODE_NAME'] || `${hostname()}-${process.pid}`;
  if (!/^[\w.-]{1,80}$/.test(nodeName)) problems.push('NODE_NAME must be 1 to 80 of the characters A-Z a-z 0-9 _ . -');

  if (problems.length > 0) throw new Error(`The demo's configuration cannot be used:\n- ${problems.join('\n- ')}`);
  const clusterUrls = (env['DEMO_CLUSTER'] ?? '').split(',').filter((url) => url !== '');
  return new DemoConfig(port, redisUrl, jwtSecret, nodeName, jwtSecret === DEVELOPMENT_SECRET ? clusterUrls : []);
}
