import { MESSAGE, type Message } from '../load/wire.js';

/** What the peers without Socket.IO share: the same texts on the wire, so that their clients are the same. */
export type PlainRequest =
  | { readonly id: string; readonly event: 'join' | 'leave'; readonly room: string }
  | { readonly id: string; readonly event: 'message.send'; readonly length: number };

/** `42<id>["event",{…}]` */
export function readRequest(text: string): PlainRequest {
  const bracket = text.indexOf('[');
  const id = text.slice(2, bracket);
  const [event, { room = '', text: body = '' }] = JSON.parse(text.slice(bracket)) as [
    string,
    { room?: string; text?: string },
  ];
  if (event === 'join' || event === 'leave') return { id, event, room };
  return { id, event: 'message.send', length: body.length };
}

export function encodeAck(request: PlainRequest): string {
  const answer = request.event === 'message.send' ? { ok: true, length: request.length } : null;
  return `43${request.id}[${JSON.stringify(answer)}]`;
}

export function encodeMessage(message: Message): string {
  return `42["${MESSAGE}",${JSON.stringify(message)}]`;
}
