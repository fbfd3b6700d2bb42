import { IS_FULL } from '../support/scale.js';

/** What a probe of Kubernetes sees: the status, and the words that readiness adds about Redis. */
export interface ProbeAnswer {
  readonly status: number;
  readonly redis: string | undefined;
}

interface HealthBody {
  readonly details?: { readonly redis?: { readonly state?: string } };
}

/** A kubelet waits a second; where the machine is not judged, an answer is waited for. */
const WAIT = IS_FULL ? { signal: () => AbortSignal.timeout(1_000) } : { signal: () => null };

/** No answer is status 0. */
export async function probe(url: string, path: '/health/live' | '/health/ready'): Promise<ProbeAnswer> {
  try {
    const response = await fetch(`${url}${path}`, { signal: WAIT.signal() });
    const body = (await response.json()) as HealthBody;
    return { status: response.status, redis: body.details?.redis?.state };
  } catch {
    return { status: 0, redis: undefined };
  }
}
