import type { Random } from "../chaos/random.ts";
import type { ModelRow } from "./clickhouse-model.ts";

/** One version of an object, and the batches that its rows are sent in. */
export interface ModelObject {
  readonly key: string;
  /** From 1; its ETag. */
  readonly version: number;
  readonly batches: readonly (readonly FileRow[])[];
}

/** A row as it stands in a file, wherever in a domain table's life that file comes. */
export type FileRow = Pick<ModelRow, "id" | "key" | "isGood">;

/** Objects with rows of few keys, so that workflows replace each other's; some rows are bad, some stand there twice. */
export class BucketModel {
  readonly #random: Random;
  readonly #objects = new Map<string, ModelObject>();

  constructor(random: Random) {
    this.#random = random;
  }

  put(key: string): void {
    const version = (this.#objects.get(key)?.version ?? 0) + 1;
    const batches = Array.from({ length: 1 + this.#random.below(3) }, (_, batch) =>
      Array.from({ length: 1 + this.#random.below(3) }, (__, row) => ({
        id: `${key}@${version}:${batch}.${row}`,
        key: `k${this.#random.below(8)}`,
        isGood: this.#random.below(5) > 0,
      })),
    );
    this.#objects.set(key, { key, version, batches });
  }

  list(prefix: string): ModelObject[] {
    return [...this.#objects.values()].filter(({ key }) => key.startsWith(prefix));
  }

  /** The object as it is now, whatever was listed. */
  get(key: string): ModelObject | undefined {
    return this.#objects.get(key);
  }
}

const ROWS_OF_OBJECT = 1_000;

/** The rows of a batch as they are of an object in a domain table's life. */
export function rowsOf(object: ModelObject, ordinal: number, batch: number): ModelRow[] {
  const before = object.batches.slice(0, batch).reduce((sum, { length }) => sum + length, 0);
  return (object.batches[batch] ?? []).map((row, at) => ({
    ...row,
    ordinal,
    file: object.key,
    version: ordinal * ROWS_OF_OBJECT + before + at,
  }));
}

export function allRowsOf(object: ModelObject, ordinal: number): ModelRow[] {
  return object.batches.flatMap((_, batch) => rowsOf(object, ordinal, batch));
}
