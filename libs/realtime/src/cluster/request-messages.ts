import type { NodeId } from '../core/ids.js';

export interface RequestMessage {
  readonly id: string;
  readonly kind: string;
  readonly from: NodeId;
  readonly payload?: unknown;
}

export interface AnswerMessage {
  readonly id: string;
  readonly nodeId: NodeId;
  readonly isOk: boolean;
  readonly value?: unknown;
}

/** Undefined for anything that is not a request: other versions and strangers may write on our channels. */
export function parseRequest(text: string): RequestMessage | undefined {
  const value = parseRecord(text);
  const isRequest = value !== undefined && ['id', 'kind', 'from'].every((key) => typeof value[key] === 'string');
  return isRequest ? (value as unknown as RequestMessage) : undefined;
}

/** Undefined for anything that is not an answer. */
export function parseAnswer(text: string): AnswerMessage | undefined {
  const value = parseRecord(text);
  const isAnswer = value !== undefined && ['id', 'nodeId'].every((key) => typeof value[key] === 'string');
  return isAnswer && typeof value['isOk'] === 'boolean' ? (value as unknown as AnswerMessage) : undefined;
}

function parseRecord(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
