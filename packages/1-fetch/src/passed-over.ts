import type { PatternPart } from "./file-pattern.ts";

/** What was found in the folder that a pattern of a folder means, and is no file of it. */
export interface PassedOver {
  readonly selection: number;
  readonly keys: number;
  /** The first 3. */
  readonly examples: readonly string[];
}

/** A pattern that ends in `/` means the files directly below a folder. */
export function isFolderPattern(parts: readonly PatternPart[]): boolean {
  const last = parts.at(-1);
  return last?.kind === "literal" && last.text.endsWith("/");
}

/**
 * Whether a folder's file is a mark of the program that wrote the folder, as Spark and Hadoop see it: `_SUCCESS`, `_committed_1`,
 * `.part-0.crc`. A pattern that is not of a folder names such files like any other.
 */
export function isMarkOfWriter(key: string): boolean {
  return /^[_.]/.test(lastNameOf(key));
}

/** The key with another last name, which is none of a mark: a pattern of a folder matches it when only the mark stood against it. */
export function asOrdinary(key: string): string {
  return `${key.slice(0, key.length - lastNameOf(key).length)}file`;
}

/** What is said on the task of a run, and in the plan of one. */
export function passedOverInWords({ keys, examples }: PassedOver, pattern: string): string {
  const objects = keys === 1 ? "1 object" : `${keys} objects`;
  const more = keys > examples.length ? ", ..." : "";
  return `${objects} in the folder ${pattern} whose names begin with _ or . were passed over: ${examples.join(", ")}${more}. To load such a file, name it by its key or by a pattern that does not end in /`;
}

function lastNameOf(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}
