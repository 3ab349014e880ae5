import { describe, expect, test } from "vitest";
import { parseFilePattern, toPatternText } from "../src/file-pattern.ts";
import { lastDayOf } from "../src/match-key.ts";
import { nearMisses } from "../src/near-misses.ts";

const PERIOD = { start: "2026-11-01", end: "2026-12-01" };

function missesOf(pattern: string, ...keys: readonly string[]): unknown[] {
  return nearMisses(parseFilePattern(pattern), keys, PERIOD).map((miss) => [
    miss.edit,
    miss.pattern,
    miss.days.join(" "),
  ]);
}

describe("the change by which a pattern would match", () => {
  test.each([
    ["other_case", "Orders/2026-11-20.CSV", "'Orders/'yyyy-MM-dd'.CSV'"],
    ["other_separator", "orders/2026_11_20.csv", "'orders/'yyyy_MM_dd'.csv'"],
    ["other_date", "orders/20112026.csv", "'orders/'ddMMyyyy'.csv'"],
    ["other_date", "orders/2026/11/20.csv", "'orders/'yyyy/MM/dd'.csv'"],
    ["other_extension", "orders/2026-11-20.csv.gz", "'orders/'yyyy-MM-dd'.csv.gz'"],
    ["other_extension", "orders/2026-11-20", "'orders/'yyyy-MM-dd"],
    ["more_text", "orders/2026-11-20-part1.csv", "'orders/'yyyy-MM-dd'*.csv'"],
    ["more_folder", "orders/eu/2026-11-20.csv", "'orders/*/'yyyy-MM-dd'.csv'"],
    ["fewer_folders", "2026-11-20.csv", "yyyy-MM-dd'.csv'"],
  ])("is %s for %s", (edit, key, proposed) => {
    expect(missesOf("'orders/'yyyy-MM-dd'.csv'", key)).toContainEqual([
      edit,
      proposed,
      "2026-11-20",
    ]);
    expect(lastDayOf(parseFilePattern(proposed).parts, key, "2026-12-31")).toBe("2026-11-20");
  });

  test("is told once for all keys that it finds, the one that fills most empty days first", () => {
    const keys = ["Orders/2026-11-20.csv", "Orders/2026-11-21.csv", "orders/2026-11-22.tsv"];
    const pattern = parseFilePattern("'orders/'yyyy-MM-dd'.csv'");
    const wanted = new Set(["2026-11-20", "2026-11-21", "2026-11-22"]);
    expect(nearMisses(pattern, keys, PERIOD, wanted)).toEqual([
      {
        edit: "other_case",
        pattern: "'Orders/'yyyy-MM-dd'.csv'",
        keys: keys.slice(0, 2),
        days: ["2026-11-20", "2026-11-21"],
      },
      {
        edit: "other_extension",
        pattern: "'orders/'yyyy-MM-dd'.tsv'",
        keys: keys.slice(2),
        days: ["2026-11-22"],
      },
    ]);
  });

  test("is none for keys of other days, other names, or too many differences", () => {
    expect(
      missesOf(
        "'orders/'yyyy-MM-dd'.csv'",
        "Orders/2025-11-20.csv",
        "people/2026-11-20.csv",
        "Orders/20261120.csv",
        "readme.txt",
      ),
    ).toEqual([]);
  });
});

describe("the day of a key", () => {
  test.each([
    ["'a-'yyyyMMdd'*'", "a-20261120-1.csv", "2026-11-20"],
    ["'a-'yyyyMMdd'*'", "a-20261131-1.csv", undefined],
    ["'a-'yyyy'-'MM'.csv'", "a-2026-02.csv", "2026-02-28"],
    ["'a-'yyyy'-'MM'.csv'", "a-2026-11.csv", "2026-11-23"],
    ["'a-'MM'-'dd", "a-02-29", "2024-02-29"],
    ["'a-'MM'-'dd", "a-12-24", "2025-12-24"],
    ["'a.csv'", "a.csv", "2026-11-23"],
    ["*yyyyMMdd*", "20261101_20261102", "2026-11-02"],
    ["yyyy'/'yyyyMMdd", "2026/20251120", undefined],
    ["'in/'yyyyMMdd'.parquet/'", "in/20261120.parquet/part-0", "2026-11-20"],
    ["'in/'yyyyMMdd'.parquet/'", "in/20261120.parquet/x/part-0", undefined],
  ])("by %s is, for %s, %s", (pattern, key, day) => {
    expect(lastDayOf(parseFilePattern(pattern).parts, key, "2026-11-23")).toBe(day);
  });

  test("is looked for in bounded time, however many wildcards there are", () => {
    const pattern = parseFilePattern(`${"*'a'".repeat(20)}yyyyMMdd`);
    expect(lastDayOf(pattern.parts, "a".repeat(1000), "2026-11-23")).toBeUndefined();
    expect(lastDayOf(pattern.parts, `${"a".repeat(990)}20261120`, "2026-11-23")).toBe("2026-11-20");
  });
});

test("a pattern's text is read back as the same parts", () => {
  for (const text of ["'it''s/'yyyy-MM-dd'/a*b'", "*", "yyyyMM'x'dd*", "'a''b'"]) {
    const { parts } = parseFilePattern(text);
    expect(parseFilePattern(toPatternText(parts)).parts).toEqual(parts);
  }
});
