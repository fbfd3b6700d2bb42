import type { ClusterNode } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { PresenceStory } from '../support/presence-story.js';
import { mintToken, type TokenClaims } from '../support/tokens.js';

/** A browser tab: one user's connection to one node, in one room. */
export interface Tab {
  readonly node: ClusterNode;
  readonly user: string;
  readonly client: StockClient;
  readonly story: PresenceStory;
}

export function connect(node: ClusterNode, user: string, claims: TokenClaims = {}): Promise<StockClient> {
  return connectedClient(`${node.url}/chat`, { auth: { token: mintToken(user, claims) } });
}

/** The tabs that a test has opened, closed with it. */
export class Tabs implements AsyncDisposable {
  readonly all: Tab[] = [];

  async open(node: ClusterNode, user: string, room: string): Promise<Tab> {
    const client = await connect(node, user);
    // As any client it asks again when Redis was late.
    const tab = { node, user, client, story: await eventually(() => PresenceStory.join(client, room)) };
    this.all.push(tab);
    return tab;
  }

  /** Those on other nodes. */
  except(node: ClusterNode): Tab[] {
    return this.all.filter((tab) => tab.node !== node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map(({ client }) => client[Symbol.asyncDispose]()));
  }
}
