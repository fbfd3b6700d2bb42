/** What a probe of Kubernetes sees: the status, and the words that readiness adds about Redis. */
export interface ProbeAnswer {
  readonly status: number;
  readonly redis: string | undefined;
}

interface HealthBody {
  readonly details?: { readonly redis?: { readonly state?: string } };
}

/** No answer within a second is status 0, as for a kubelet. */
export async function probe(url: string, path: '/health/live' | '/health/ready'): Promise<ProbeAnswer> {
  try {
    const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(1_000) });
    const body = (await response.json()) as HealthBody;
    return { status: response.status, redis: body.details?.redis?.state };
  } catch {
    return { status: 0, redis: undefined };
  }
}
