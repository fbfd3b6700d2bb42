import { userRoom } from 'nestjs-realtime-protocol';
import type { Authenticator, Credentials } from '../auth/authenticator.js';
import type { Revocations } from '../auth/revocations.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { RoomRegistry } from '../rooms/room-registry.js';
import { Connection } from './connection.js';
import type { ConnectionFlow } from './connection-flow.js';

export interface CredentialRefreshDeps {
  readonly flow: ConnectionFlow;
  readonly authenticator: Authenticator;
  readonly revocations: Revocations;
  readonly registry: RoomRegistry;
  readonly metrics: Pick<RealtimeMetrics, 'dropped'>;
}

/**
 * `realtime:refresh`: new credentials for the client's connection, and for the others of its user and transport whose
 * namespace has the same check. Invariant: a connection's credentials come from the check of its own namespace, asked with
 * its own handshake; one that the check refuses keeps those that it has.
 */
export class CredentialRefresh {
  constructor(private readonly deps: CredentialRefreshDeps) {}

  /** Rejects with the refusal of the connection's own namespace; then nothing has changed. */
  async refresh(connection: Connection, token: unknown): Promise<{ expiresAt: number | undefined }> {
    const credentials = await this.check(connection, token);
    const others = await Promise.all(this.othersOf(connection).map((one) => this.tryCheck(one, token)));
    this.renew(connection, credentials);
    for (const other of others) if (other) this.renew(other.connection, other.credentials);
    return { expiresAt: credentials.principal.expiresAt };
  }

  private async check({ principal, link }: Connection, token: unknown): Promise<Credentials> {
    const { authenticator, revocations } = this.deps;
    const credentials = await authenticator.refresh(token, principal, link.readHandshake());
    if (revocations.isRevoked(credentials)) throw new RealtimeError('REVOKED');
    return credentials;
  }

  private async tryCheck(connection: Connection, token: unknown) {
    try {
      return { connection, credentials: await this.check(connection, token) };
    } catch {
      // What went wrong is for the client to learn when it refreshes there.
      this.deps.metrics.dropped('refresh');
      return undefined;
    }
  }

  private othersOf(connection: Connection): Connection[] {
    const { namespace, transportId } = connection.link;
    const others: Connection[] = [];
    for (const member of this.deps.registry.members(userRoom(connection.principal.id)))
      if (
        member instanceof Connection &&
        member !== connection &&
        member.link.transportId === transportId &&
        this.deps.authenticator.sharesCheck(namespace, member.link.namespace)
      )
        others.push(member);
    return others;
  }

  /** Not one that has ended meanwhile: nobody would ever stop watching its expiry. */
  private renew(connection: Connection, credentials: Credentials): void {
    if (this.deps.registry.isRegistered(connection)) this.deps.flow.renew(connection, credentials);
  }
}
