import { StageError } from "@sluice/errors";
import { describe, expect, test } from "vitest";
import { parseFilePattern } from "../src/index.ts";

const day = "2026-03-09";

function matches(pattern: string, key: string): boolean {
  return parseFilePattern(pattern).expand(day).isMatch(key);
}

describe("the file pattern language", () => {
  test("fills the day in and keeps quoted text as it is", () => {
    const pattern = parseFilePattern("'CUSTOMER/ENV/FILENAME_'MM-dd-yyyy'.csv'");
    expect(pattern.expand(day).exactKey).toBe("CUSTOMER/ENV/FILENAME_03-09-2026.csv");
    expect(pattern.isDated).toBe(true);
    expect(pattern.literalPrefix).toBe("CUSTOMER/ENV/FILENAME_");
  });

  test("takes YYYY for the year too, never for the week-year", () => {
    expect(parseFilePattern("YYYY-MM-dd").expand("2024-12-30").exactKey).toBe("2024-12-30");
  });

  test("lists under what stands before the first wildcard", () => {
    const expansion = parseFilePattern("'files/'yyyy'/'MM'/'dd'/customers-*.csv'").expand(day);
    expect(expansion.prefix).toBe("files/2026/03/09/customers-");
    expect(expansion.delimiter).toBe("/");
    expect(expansion.exactKey).toBeUndefined();
    expect(expansion.isMatch("files/2026/03/09/customers-1.csv")).toBe(true);
    expect(expansion.isMatch("files/2026/03/09/customers-.csv")).toBe(true);
    expect(expansion.isMatch("files/2026/03/10/customers-1.csv")).toBe(false);
  });

  test("goes below the prefix's folder only when the wildcard stands for a folder", () => {
    expect(parseFilePattern("'a/'*'/b.csv'").expand(day).delimiter).toBeUndefined();
    expect(parseFilePattern("'a/b'*").expand(day).delimiter).toBe("/");
  });

  test.each([
    ["*", "a.csv", true],
    ["*", "a/b.csv", false],
    ["'a/*/c'", "a/b/c", true],
    ["'a/*/c'", "a/b/b/c", false],
    ["'a/*'", "a/", false],
    ["'a*a'", "a", false],
    ["'a*a'", "aa", true],
    ["'a*b*c'", "a-b-b-c", true],
    ["'a*bc*c'", "abc", false],
    ["'*aab*'", "xaaab", true],
    ["'**.csv'", "x.csv", true],
    ["'a.csv'", "abcsv", false],
    ["'['*']('", "[x](", true],
    ["'O''Brien '*", "O'Brien 1", true],
    ["''", "'", true],
    ["yyyyMMdd", "20260309", true],
    ["'path/'yyyy-MM-dd'.parquet/'", "path/2026-03-09.parquet/part-0", true],
    ["'path/'yyyy-MM-dd'.parquet/'", "path/2026-03-09.parquet/x/part-0", false],
    ["'path/'yyyy-MM-dd'.parquet/'", "path/2026-03-09.parquet/", false],
  ])("%s and the key %s: %s", (pattern, key, expected) => {
    expect(matches(pattern, key)).toBe(expected);
  });

  test("matches a long hostile name in linear time of its segments", () => {
    const pattern = `'${"a*".repeat(200)}b'`;
    expect(matches(pattern, "a".repeat(1024))).toBe(false);
  });

  test.each([
    ["", 1],
    ["'open", 1],
    ["yyyy'-", 5],
    ["yyyy-mm-dd", 6],
    ["yy-MM-dd", 1],
    ["yyyyMMMdd", 5],
    ["files/yyyy", 1],
    ["'x'yyyy'y'D", 11],
  ])("refuses %j and names character %d", (pattern, position) => {
    const parse = (): unknown => parseFilePattern(pattern);
    expect(parse).toThrow(StageError);
    expect(parse).toThrow(`[list/pattern_invalid] file pattern, character ${position}:`);
  });

  test.each(["2026-02-29", "2026-13-01", "2026-1-1", "today"])("refuses the day %s", (text) => {
    expect(() => parseFilePattern("dd").expand(text)).toThrow(RangeError);
  });
});
