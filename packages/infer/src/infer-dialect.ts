import type { DelimitedSettings } from "@sluice/schema";
import { type Guess, guess, shareOf } from "./guess.ts";

/** What reads like a table: the marks of delimited text. */
export type Dialect = Pick<DelimitedSettings, "delimiter" | "quote" | "escape">;

/** How a sample reads by a dialect, its first record taken for one of data. */
export interface Trial {
  /** Of the records that have as many fields as the first one, values in order. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Records that have more or fewer, or are broken. */
  readonly faults: number;
}

/** Cuts the sample by the parser that a load uses; undefined where it cannot be cut at all. */
export type TryDialect = (dialect: Dialect) => Promise<Trial | undefined>;

export interface DialectGuess {
  readonly delimiter: Guess<string>;
  readonly quote: Guess<string>;
  readonly escape: Guess<string>;
  readonly trial: Trial;
}

const DELIMITERS = [",", "\t", "|", ";", "\u0001", "~", "^", "\u001f", ":"];

interface Scored {
  readonly dialect: Dialect;
  readonly trial: Trial;
  readonly width: number;
  readonly share: number;
  readonly score: number;
}

/**
 * The marks by which the sample's records agree best on how many fields they have. What is given is not tried
 * otherwise. A sample of one column has the default delimiter.
 */
export async function inferDialect(
  text: string,
  given: Partial<Dialect>,
  tryDialect: TryDialect,
): Promise<DialectGuess> {
  const delimiters = given.delimiter === undefined ? delimitersIn(text) : [given.delimiter];
  const tried: Scored[] = [];
  for (const delimiter of delimiters) {
    for (const quote of given.quote === undefined ? quotesIn(text) : [given.quote]) {
      const escapes = given.escape === undefined ? escapesIn(text, quote) : [given.escape];
      for (const mark of escapes) {
        const dialect = { delimiter, quote, escape: mark };
        const trial = await tryDialect(dialect);
        if (trial !== undefined) tried.push(scoreOf(dialect, trial));
      }
    }
  }
  // The sort is stable: of equals the one that is more usual stands first.
  const [best, ...others] = tried.toSorted((a, b) => b.score - a.score);
  if (best === undefined) {
    const { delimiter = ",", quote = '"' } = given;
    const evidence = "the sample cannot be cut by any dialect that was tried";
    return {
      delimiter: guess(delimiter, 0.1, evidence),
      quote: guess(quote, 0.1, evidence),
      escape: guess(given.escape ?? quote, 0.1, evidence),
      trial: { rows: [], faults: 0 },
    };
  }
  return { ...describe(text, best, others), trial: best.trial };
}

function scoreOf(dialect: Dialect, trial: Trial): Scored {
  const width = trial.rows[0]?.length ?? 0;
  const all = trial.rows.length + trial.faults;
  const share = all === 0 ? 0 : trial.rows.length / all;
  // More fields are better only among dialects that the records agree on; a longer mark explains more of the text.
  const agreement = share >= 0.9 ? 1 : share * 0.5;
  const fields = width > 1 ? 1 + Math.log2(width) / 20 : 0.2;
  const length = 1 + (dialect.delimiter.length - 1) / 10;
  return { dialect, trial, width, share, score: agreement * share * fields * length };
}

function describe(
  text: string,
  best: Scored,
  others: readonly Scored[],
): Omit<DialectGuess, "trial"> {
  const { dialect, width, share, trial } = best;
  const { delimiter, quote, escape: mark } = dialect;
  const all = trial.rows.length + trial.faults;
  const rival = others.find((other) => other.dialect.delimiter !== delimiter && other.width > 1);
  const agreed = shareOf(trial.rows.length, all, "records");
  const doubt = rival !== undefined && rival.score > best.score * 0.9 ? 0.7 : 1;
  const quoted = count(text, quote);
  return {
    delimiter:
      width > 1
        ? guess(delimiter, round(share * doubt), `${agreed} have ${width} fields by it`)
        : guess(delimiter, 0.3, "no mark cuts the records into several fields"),
    quote:
      quote === ""
        ? guess(quote, 0.6, "quotes stand around no field")
        : guess(quote, quoted === 0 ? 0.5 : 0.9, `stands ${quoted} times in the sample`),
    escape:
      mark === quote
        ? guess(mark, 0.9, `${count(text, quote + quote)} doubled quotes in the sample`)
        : guess(mark, 0.85, `${count(text, mark + quote)} quotes behind it in the sample`),
  };
}

const round = (share: number): number => Math.round(share * 100) / 100;

const count = (text: string, part: string): number =>
  part === "" ? 0 : text.split(part).length - 1;

function delimitersIn(text: string): readonly string[] {
  const single = DELIMITERS.filter((delimiter) => text.includes(delimiter));
  // Marks of several characters stand between fields of every line, and are no letters, digits, blanks or quotes.
  const lines = text.split(/\r\n|\n|\r/).slice(0, 20);
  const counts = new Map<string, number>();
  for (const line of lines) {
    for (const run of new Set(line.match(/[^\p{L}\p{N}\s"'.,+@/\\()[\]{}-]{2,5}/gu) ?? [])) {
      counts.set(run, (counts.get(run) ?? 0) + 1);
    }
  }
  const long = [...counts]
    .filter(([, seen]) => seen >= Math.max(2, lines.length / 2))
    .map(([run]) => run);
  const found = [...long.slice(0, 3), ...single];
  return found.length === 0 ? [","] : found;
}

function quotesIn(text: string): readonly string[] {
  const isAtBorder = /(^|[^\p{L}\p{N}\s])'|'([^\p{L}\p{N}\s]|$)/mu.test(text);
  return isAtBorder && !text.includes('"') ? ["'", '"'] : ['"'];
}

function escapesIn(text: string, quote: string): readonly string[] {
  if (quote === "" || !text.includes(`\\${quote}`)) return [quote];
  return text.includes(quote + quote) ? [quote, "\\"] : ["\\", quote];
}
