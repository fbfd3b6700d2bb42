/**
 * A map that seldom has more than one entry: an empty `Map` keeps a table for four, 184 bytes in all, and there are several for
 * each connection. From the second entry on it is a `Map` inside. Complexity, order and meaning are those of `Map`.
 */
export class SmallMap<K, V> implements Map<K, V> {
  private isSingle = false;
  private key: K | undefined;
  private value: V | undefined;
  private many: Map<K, V> | undefined;

  get size(): number {
    return this.many ? this.many.size : Number(this.isSingle);
  }

  get [Symbol.toStringTag](): string {
    return 'Map';
  }

  has(key: K): boolean {
    return this.many ? this.many.has(key) : this.isSingle && isSame(this.key, key);
  }

  get(key: K): V | undefined {
    if (this.many) return this.many.get(key);
    return this.isSingle && isSame(this.key, key) ? this.value : undefined;
  }

  set(key: K, value: V): this {
    if (this.many) this.many.set(key, value);
    else if (!this.isSingle || isSame(this.key, key)) {
      this.isSingle = true;
      this.key = key;
      this.value = value;
    } else {
      this.many = new Map(this.entries()).set(key, value);
      this.forgetSingle();
    }
    return this;
  }

  delete(key: K): boolean {
    if (this.many) return this.many.delete(key);
    if (!this.has(key)) return false;
    this.forgetSingle();
    return true;
  }

  clear(): void {
    this.many = undefined;
    this.forgetSingle();
  }

  forEach(visit: (value: V, key: K, map: Map<K, V>) => void, self?: unknown): void {
    for (const [key, value] of this) visit.call(self, value, key, this);
  }

  entries(): MapIterator<[K, V]> {
    return this.many ? this.many.entries() : this.single().values();
  }

  *keys(): MapIterator<K> {
    for (const [key] of this) yield key;
  }

  *values(): MapIterator<V> {
    for (const [, value] of this) yield value;
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  private single(): [K, V][] {
    return this.isSingle ? [[this.key as K, this.value as V]] : [];
  }

  private forgetSingle(): void {
    this.isSingle = false;
    this.key = this.value = undefined;
  }
}

/** As `Map` compares: `NaN` is itself, and 0 is -0. */
function isSame(one: unknown, other: unknown): boolean {
  return one === other || (one !== one && other !== other);
}
