import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Refusal } from '../connection/admission.js';

/**
 * Engine.IO answers every refused upgrade with 400, and never says when to come back. It is not told, so it keeps nothing
 * of the request.
 */
export function answer(request: IncomingMessage & { res?: ServerResponse }, refusal: Refusal): void {
  const { status, code, message, retryAfterMs } = refusal;
  const body = JSON.stringify({ code, message });
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (status !== 403) headers['Retry-After'] = String(Math.max(1, Math.ceil((retryAfterMs ?? 0) / 1_000)));
  if (request.res !== undefined) request.res.writeHead(status, headers).end(body);
  else endUpgrade(request.socket, status, { headers, body });
}

export function endUpgrade(socket: Duplex, status: number, { headers = {}, body = '' }: UpgradeAnswer = {}): void {
  const all = { Connection: 'close', ...headers, 'Content-Length': String(Buffer.byteLength(body)) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  const text = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', body].join('\r\n');
  // A client that never ends its side would keep the descriptor.
  socket.end(text, () => socket.destroy());
}

interface UpgradeAnswer {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}
