/** Keys in the order S3 lists them: by their UTF-8 bytes. */

/** Compares two keys by their UTF-8 bytes; UTF-16 order differs where surrogates meet U+E000 and above. */
function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x !== y) return isSurrogate(x) !== isSurrogate(y) ? bySurrogate(x, y) : x - y;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

// A surrogate stands for a code point above every single unit.
function bySurrogate(x: number, y: number): number {
  return isSurrogate(x) ? 1 : isSurrogate(y) ? -1 : x - y;
}

export interface KeyIndex<V> {
  readonly size: number;
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  delete(key: string): void;
  values(): IterableIterator<V>;
  /** The keys in order; the array is the index's own and must not be kept over an await. */
  sorted(): readonly string[];
}

export function createKeyIndex<V>(): KeyIndex<V> {
  const values = new Map<string, V>();
  let order: string[] | undefined = [];
  return {
    get size() {
      return values.size;
    },
    get: (key) => values.get(key),
    set: (key, value) => {
      if (!values.has(key)) order = undefined;
      values.set(key, value);
    },
    delete: (key) => {
      if (values.delete(key)) order = undefined;
    },
    values: () => values.values(),
    // Sorted when a listing asks for it: a load of many objects then costs one sort, not one insertion each.
    sorted: () => {
      order ??= [...values.keys()].sort(compareKeys);
      return order;
    },
  };
}

/** The position of the first key that does not come before `bound`, or that comes after it when `isAfter`. */
export function lowerBound(keys: readonly string[], bound: string, isAfter: boolean): number {
  return partition(keys, 0, (key) => {
    const order = compareKeys(key, bound);
    return isAfter ? order <= 0 : order < 0;
  });
}

/** The position of the first key at or behind `from` that does not start with `prefix`. */
export function endOfPrefix(keys: readonly string[], prefix: string, from: number): number {
  return partition(keys, from, (key) => key.startsWith(prefix));
}

function partition(
  keys: readonly string[],
  from: number,
  isBefore: (key: string) => boolean,
): number {
  let low = from;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(keys[middle] ?? "")) low = middle + 1;
    else high = middle;
  }
  return low;
}
