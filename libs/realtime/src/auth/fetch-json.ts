import type { Clock } from '../core/clock.js';

/** A JWKS of a hundred RSA keys has 60 KB: what is longer is not one. */
const MAX_BYTES = 262_144;

/**
 * GETs a JSON document from an address that the operator configured. Rejects after `deadlineMs` for the whole exchange,
 * body included, on any redirect, on any status but 200, and above 256 KiB.
 */
export async function fetchJson(uri: string, deadlineMs: number, clock: Clock): Promise<unknown> {
  const abort = new AbortController();
  const cancel = clock.after(deadlineMs, () => abort.abort(new Error(`no answer within ${deadlineMs} ms`)));
  try {
    const response = await fetch(uri, {
      signal: abort.signal,
      redirect: 'error',
      headers: { accept: 'application/json' },
    });
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return JSON.parse(await readText(response)) as unknown;
  } finally {
    cancel();
    // Also ends a body that was left unread, and with it the socket.
    abort.abort();
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    bytes += (chunk as Uint8Array).byteLength;
    if (bytes > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
  }
  return Buffer.concat(chunks).toString('utf8');
}
