import type { TestRedisClient } from '../support/redis.js';

/** Every key below `prefix` whose name or content mentions `text`. */
export async function keysMentioning(client: TestRedisClient, prefix: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for await (const keys of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 500 })) {
    for (const key of keys) {
      if (key.includes(text) || (await contentOf(client, key)).includes(text)) found.push(key);
    }
  }
  return found.sort();
}

/** The present incarnation of a node. */
export async function incarnationOf(client: TestRedisClient, prefix: string, nodeId: string): Promise<string> {
  const ids = await client.hGetAll(`${prefix}{#nodes}:ids`);
  const found = Object.entries(ids).find(([, id]) => id === nodeId);
  if (!found) throw new Error(`${nodeId} has no lease; there are ${JSON.stringify(ids)}`);
  return found[0];
}

/** Whether it was declared dead, and swept for the second and last time. */
export async function isForgotten(client: TestRedisClient, prefix: string, incarnation: string): Promise<boolean> {
  const [dead, sweep] = await Promise.all(
    ['dead', 'sweep'].map((name) => client.zScore(`${prefix}{#nodes}:${name}`, incarnation)),
  );
  return dead !== null && sweep === null;
}

async function contentOf(client: TestRedisClient, key: string): Promise<string> {
  switch (await client.type(key)) {
    case 'hash':
      return JSON.stringify(await client.hGetAll(key));
    case 'zset':
      return JSON.stringify(await client.zRange(key, 0, -1));
    case 'set':
      return JSON.stringify(await client.sMembers(key));
    case 'string':
      return (await client.get(key)) ?? '';
    default:
      throw new Error(`${key} is of a type that this test cannot read`);
  }
}
