import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { DelimitedSettings } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import { CsvError, parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDelimited } from "../src/index.ts";
import { COMMA, toTable } from "./table.ts";

/** What csv-parse makes of the bytes, with our rule for null put on top of its fields. */
function oracle(bytes: Uint8Array, settings: DelimitedSettings): (string | null)[][] {
  return parse(Buffer.from(bytes), {
    bom: true,
    delimiter: settings.delimiter,
    quote: settings.quote === "" ? null : settings.quote,
    escape: settings.quote === "" || settings.escape === "" ? null : settings.escape,
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_column_count: true,
    relax_quotes: false,
    skip_empty_lines: true,
    cast: (value, { quoting }) => (!quoting && value === settings.nullText ? null : value),
  }) as (string | null)[][];
}

const NEWLINES = ["\n", "\r\n", "\r"];
const dialect = fc
  .record({
    delimiter: fc.constantFrom(",", ";", "\t", "|", "\u0001", "||", "¦", "~|~", ", "),
    quote: fc.constantFrom('"', "'", "", "«"),
    escape: fc.constantFrom("quote", "\\", ""),
    nullText: fc.constantFrom("", "NULL", "\\N"),
  })
  .map(
    ({ delimiter, quote, escape: escapeWith, nullText }): DelimitedSettings => ({
      ...COMMA,
      delimiter,
      quote,
      // Outside of quotes csv-parse knows no escape.
      escape: escapeWith === "quote" || quote === "" ? quote : escapeWith,
      nullText,
      headerRows: 0,
    }),
  );

const text = fc
  .array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.constantFrom(
          "a",
          "b",
          "7",
          " ",
          "é",
          "𝄞",
          "名",
          "\u0000",
          "|",
          ",",
          "~",
          "\\",
          "¦",
          "«",
          "»",
          '"',
          "'",
          "\n",
          "\r",
          "\r\n",
          "NULL",
          "\\N",
        ),
      },
      { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 80 }) },
    ),
    { maxLength: 6 },
  )
  .map((parts) => Buffer.from(parts.join("")).toString());

/** Writes a field so that it can be read back, quoted where it must be and sometimes where not. */
function write(value: string, settings: DelimitedSettings, eager: boolean): string {
  const { delimiter, quote, escape: escapeWith } = settings;
  const bare = (unsafe: string): string =>
    unsafe
      .replaceAll(/[\r\n]/g, "")
      .replaceAll(quote === "" ? "\n" : quote, "")
      .replaceAll(Array.from(delimiter)[0] ?? "", "");
  if (quote === "" || !(eager || bare(value) !== value)) return bare(value);
  if (escapeWith === "") return quote + value.replaceAll(quote, "") + quote;
  if (escapeWith === quote) return quote + value.replaceAll(quote, quote + quote) + quote;
  return (
    quote +
    value.replaceAll(escapeWith, escapeWith + escapeWith).replaceAll(quote, escapeWith + quote) +
    quote
  );
}

const file = fc
  .record({
    settings: dialect,
    width: fc.integer({ min: 2, max: 5 }),
    bom: fc.boolean(),
    lastBreak: fc.boolean(),
    records: fc.array(
      fc.record({
        values: fc.array(fc.record({ value: text, eager: fc.boolean() }), {
          minLength: 5,
          maxLength: 5,
        }),
        newline: fc.constantFrom(...NEWLINES),
      }),
      { minLength: 1, maxLength: 12 },
    ),
  })
  .map(({ settings, width, bom, lastBreak, records }) => {
    const lines = records.map(({ values, newline }) => ({
      line: values
        .slice(0, width)
        .map(({ value, eager }) => write(value, settings, eager))
        .join(settings.delimiter),
      newline,
    }));
    const body = lines
      .map(({ line, newline }, i) => line + (i < lines.length - 1 || lastBreak ? newline : ""))
      .join("");
    return { settings, bytes: Buffer.from((bom ? "\uFEFF" : "") + body) };
  });

describe("parseDelimited agrees with csv-parse", () => {
  test("on every written table, in any dialect and any chunks", async () => {
    await fc.assert(
      fc.asyncProperty(file, fc.integer({ min: 1, max: 64 }), async ({ settings, bytes }, size) => {
        const table = await toTable(await parseDelimited(settings)(chunked(bytes, size)));
        expect(table.rows).toEqual(oracle(bytes, settings));
        expect(table.faults).toEqual([]);
      }),
      { numRuns: 1500 },
    );
  });

  test("on noise: whatever csv-parse reads, and a fault or an error wherever it refuses", async () => {
    const noise = fc
      .array(fc.constantFrom(",", ",", '"', '"', "\n", "\r\n", "\r", "a", "é", " ", "xyz"), {
        maxLength: 24,
      })
      .map((parts) => Buffer.from(parts.join("")));
    const settings = { ...COMMA, headerRows: 0 };
    await fc.assert(
      fc.asyncProperty(noise, fc.integer({ min: 1, max: 9 }), async (bytes, size) => {
        let expected: (string | null)[][];
        try {
          expected = oracle(bytes, settings);
        } catch (error) {
          // A quote inside of an unquoted field is the one thing that we read and csv-parse does not.
          if (error instanceof CsvError && error.code === "INVALID_OPENING_QUOTE") return;
          const faults = parseDelimited(settings)(chunked(bytes, size))
            .then(toTable)
            .then((table) => table.faults.length);
          await expect(faults.catch(() => "refused")).resolves.not.toBe(0);
          return;
        }
        const width = expected[0]?.length ?? 0;
        fc.pre(width !== 1);
        const table = await toTable(await parseDelimited(settings)(chunked(bytes, size)));
        expect(table.rows).toEqual(
          expected.map((row) => (row.length === width ? row : new Array(width).fill(null))),
        );
        expect(table.faults.length).toBe(expected.filter((row) => row.length !== width).length);
      }),
      { numRuns: 3000 },
    );
  });
});

test("long fields over many chunks come out whole, quoted or not", async () => {
  const long = Array.from({ length: 40_000 }, (_, i) => `line ${i} says "é"`).join("\n");
  const bytes = Buffer.from(
    `a,b\n"${long.replaceAll('"', '""')}",${"x".repeat(700_000)}\n1,2\n,"${"y".repeat(300_000)}"`,
  );
  for (const size of [999, 65_536, bytes.length]) {
    const table = await toTable(await parseDelimited(COMMA)(chunked(bytes, size)));
    expect(table.rows).toEqual(oracle(bytes, COMMA).slice(1));
    expect(table.faults).toEqual([]);
  }
});

const spectrum = new URL("../../../../shared/corpora/csv-spectrum/", import.meta.url);
describe.skipIf(!existsSync(spectrum))("csv-spectrum (skipped without ../shared/corpora)", () => {
  // These two do not match their JSON as stored.
  const stored = new Set(["newlines_crlf.csv", "location_coordinates.csv"]);
  const names = existsSync(spectrum) ? readdirSync(new URL("csvs/", spectrum)) : [];
  test.each(names.filter((name) => !stored.has(name)))("%s reads as its JSON", async (name) => {
    const bytes = readFileSync(new URL(`csvs/${name}`, spectrum));
    const twin = JSON.parse(
      readFileSync(new URL(`json/${name.replace(".csv", ".json")}`, spectrum), "utf8"),
    );
    const table = await toTable(
      await parseDelimited({ ...COMMA, nullText: "\\N" })(chunked(bytes, 5)),
    );
    const objects = table.rows.map((row) =>
      Object.fromEntries(table.names.map((column, i) => [column, row[i]])),
    );
    expect(objects).toEqual(twin);
  });
});
