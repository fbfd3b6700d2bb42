import type { Namespace } from 'socket.io';

const labels = new WeakMap<Namespace, string>();

/** The namespace as metrics name it: one that a pattern made is counted as the pattern, because clients choose its name. */
export function labelOf(namespace: Namespace): string {
  return labels.get(namespace) ?? namespace.name;
}

export function setLabel(namespace: Namespace, label: string): void {
  labels.set(namespace, label);
}
