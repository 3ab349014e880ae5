import { type Guess, guess } from "./guess.ts";
import { kindOf } from "./value-kind.ts";

type Row = readonly (string | null)[];

/**
 * Whether the first record names the columns: 1 or 0 header rows. Numbers below texts speak for names even when a
 * load would refuse the names: `headerFaults` tells of those.
 */
export function inferHeader(rows: readonly Row[]): Guess<number> {
  const [first, ...rest] = rows;
  if (first === undefined) return guess(1, 0.3, "there is no record");
  const names = first.map((name) => name?.trim() ?? "");
  const valuesAt = (at: number): readonly string[] =>
    rest.flatMap((row) => row[at] ?? []).filter((value) => value.trim() !== "");
  const typed = names.filter((name) => name !== "" && kindOf(name) !== "text").length;
  if (typed > 0) {
    return guess(0, 0.95, `${typed} fields of the first record are numbers, dates or the like`);
  }
  const differing = names.filter((name, at) => {
    const values = valuesAt(at);
    return name !== "" && values.length > 0 && values.every((value) => kindOf(value) !== "text");
  }).length;
  if (differing > 0) {
    const isFaulty = headerFaults(first) !== undefined;
    const evidence = `${differing} columns hold numbers, dates or the like below a text`;
    return guess(1, isFaulty || rest.length === 1 ? 0.85 : 0.97, evidence);
  }
  // A delimiter behind the last field makes a column without anything in it: it says nothing.
  if (names.some((name, at) => name === "" && valuesAt(at).length > 0)) {
    return guess(0, 0.8, "the first record has fields without a text");
  }
  const texts = names.filter((name) => name !== "");
  if (texts.length === 0) return guess(0, 0.8, "the first record has no text");
  if (new Set(texts.map((name) => name.toLowerCase())).size < texts.length) {
    return guess(0, 0.85, "the first record has a text twice");
  }
  const recurring = names.filter(
    (name, at) => name !== "" && rest.some((row) => row[at] === name),
  ).length;
  if (recurring > 0) {
    return guess(0, 0.75, `${recurring} texts of the first record come again in their columns`);
  }
  const named = texts.filter((name) => /^[\p{L}_#][\p{L}\p{N}_ .#/()-]{0,63}$/u.test(name)).length;
  return named === texts.length
    ? guess(1, 0.75, "the first record reads like names")
    : guess(0, 0.55, "the first record does not read like names");
}

/** Why a load refuses a record as a header, in words, with what to do; undefined for one that it takes. */
export function headerFaults(names: Row): string | undefined {
  const places = new Map<string, number[]>();
  for (const [at, name] of names.entries()) {
    const folded = (name ?? "").toLowerCase();
    places.set(folded, [...(places.get(folded) ?? []), at + 1]);
  }
  const nameless = places.get("") ?? [];
  const shared = [...places].filter(([name, columns]) => name !== "" && columns.length > 1);
  const faults = [
    ...(nameless.length === 0
      ? []
      : [`${columnsOf(nameless)} ${nameless.length === 1 ? "has" : "have"} no name`]),
    ...shared.map(([, columns]) => `${columnsOf(columns)} have one name`),
  ];
  if (faults.length === 0) return undefined;
  return `in the header, ${faults.join("; ")}: a load refuses that. Correct the file, or pass over its header (skip_rows one more, header_rows 0) and take the columns as column_1, column_2, ...`;
}

/** Columns that are told one by one. */
const MAX_TOLD = 20;

function columnsOf(columns: readonly number[]): string {
  const told = columns.slice(0, MAX_TOLD).map(String);
  const others = columns.length - told.length;
  if (others > 0) told.push(`${others} more`);
  const last = told.pop() ?? "";
  return told.length === 0 ? `column ${last}` : `columns ${told.join(", ")} and ${last}`;
}
