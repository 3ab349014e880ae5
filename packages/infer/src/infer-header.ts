import { type Guess, guess } from "./guess.ts";
import { kindOf } from "./value-kind.ts";

/** Whether the first record names the columns: 1 or 0 header rows. */
export function inferHeader(rows: readonly (readonly (string | null)[])[]): Guess<number> {
  const [first, ...rest] = rows;
  if (first === undefined) return guess(1, 0.3, "there is no record");
  const names = first.map((name) => name?.trim() ?? "");
  if (names.some((name) => name === "")) {
    return guess(0, 0.8, "the first record has fields without a text");
  }
  if (new Set(names.map((name) => name.toLowerCase())).size < names.length) {
    return guess(0, 0.85, "the first record has a text twice");
  }
  const typed = names.filter((name) => kindOf(name) !== "text").length;
  if (typed > 0) {
    return guess(0, 0.95, `${typed} fields of the first record are numbers, dates or the like`);
  }
  const differing = names.filter((_, at) => {
    const values = rest.flatMap((row) => row[at] ?? []).filter((value) => value !== "");
    return values.length > 0 && values.every((value) => kindOf(value) !== "text");
  }).length;
  if (differing > 0) {
    return guess(1, 0.97, `${differing} columns hold numbers, dates or the like below a text`);
  }
  const recurring = names.filter((name, at) => rest.some((row) => row[at] === name)).length;
  if (recurring > 0) {
    return guess(0, 0.75, `${recurring} texts of the first record come again in their columns`);
  }
  const named = names.filter((name) => /^[\p{L}_#][\p{L}\p{N}_ .#/()-]{0,63}$/u.test(name)).length;
  return named === names.length
    ? guess(1, 0.75, "the first record reads like names")
    : guess(0, 0.55, "the first record does not read like names");
}
