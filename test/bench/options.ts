import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Cases by name; all when empty. */
  readonly cases: readonly string[];
  /** One line of JSON for each case on standard output, instead of the table. */
  readonly isJson: boolean;
  /** Measured pairs of runs, after one that is not counted. */
  readonly rounds: number;
  /** A share of the rows, to try things; figures count at 1 alone. */
  readonly scale: number;
  readonly isProfile: boolean;
  /** Writes the table into docs/benchmarks.md, and draws docs/benchmarks.svg. */
  readonly writesDocs: boolean;
}

export const USAGE =
  "pnpm bench [case ...] [--json] [--rounds N, 5] [--scale F, 1] [--profile] [--write-docs]";

const ROUNDS = 5;

/** Throws one line that says what is wrong. */
export function readOptions(args: readonly string[], known: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: String(ROUNDS) },
      scale: { type: "string", default: "1" },
      profile: { type: "boolean", default: false },
      "write-docs": { type: "boolean", default: false },
    },
  });
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`there is no case ${unknown.join(", ")}; there is ${known.join(", ")}`);
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new Error(`--rounds takes a whole number from 1, not "${values.rounds}"`);
  }
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 10)) {
    throw new Error(`--scale takes a number above 0, at most 10, not "${values.scale}"`);
  }
  const { json: isJson, profile: isProfile, "write-docs": writesDocs } = values;
  if (isProfile && writesDocs) throw new Error("figures of a profile are no figures for the docs");
  return { cases: positionals, isJson, rounds, scale, isProfile, writesDocs };
}
