import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FieldSchema } from "@sluice/api/control/v1/feed_pb";
import type { FileSettings } from "../e2e/story.ts";

export type FieldInit = MessageInitShape<typeof FieldSchema>;

/** A row of a domain table: the values of the case's fields as text, and where it came from. */
export interface LoadedRow {
  readonly entry: string;
  readonly row: number;
  readonly values: readonly (string | null)[];
  /** The same as bytes, which need not be text. */
  readonly bytes: readonly (Uint8Array | null)[];
}

/** One file of a corpus, how a courier would load it, and what must become of it. */
export interface CorpusCase {
  /** Path of the file within the corpus. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly settings: FileSettings;
  readonly fields: readonly FieldInit[];
  readonly keys?: { readonly privateKeyBlock: string; readonly passphrase: string };
  /** `either`: the corpus leaves it open; what is loaded must still be right. */
  readonly expect: "loaded" | "refused" | "either";
  /** What of the rows differs from the truth, in words; undefined when all is equal. Rows are in the order of the file. */
  readonly judge?: (rows: readonly LoadedRow[]) => string | undefined;
}

/** A folder of one shape, as cases. */
export interface Corpus {
  readonly kind: string;
  readonly cases: readonly CorpusCase[];
}

export const TEXT = { type: { case: "string", value: {} } } as const;

/** A field of text by its incoming name, under a column name of its own. */
export function textField(incomingName: string, index: number): FieldInit {
  return { incomingName, name: `value_${index}`, type: TEXT };
}

/** The first difference between two lists, in words. */
export function firstDifference<T>(
  seen: readonly T[],
  expected: readonly T[],
  isEqual: (a: T, b: T) => boolean,
): string | undefined {
  const at = expected.findIndex((value, index) => {
    const other = seen[index];
    return other === undefined || !isEqual(other, value);
  });
  if (at >= 0) return `item ${at + 1} is ${show(seen[at])}, expected ${show(expected[at])}`;
  return seen.length === expected.length
    ? undefined
    : `${seen.length} items, expected ${expected.length}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? String(each) : each));
  return text === undefined ? "absent" : text.slice(0, 200);
}
