import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { codeFacts, type Stage } from "@sluice/errors";
import { describe, expect, test } from "vitest";

/** docs/attacks.md promises a test for each row: whoever removes the test, or its name, has to say so there. */

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const rows = readFileSync(`${ROOT}docs/attacks.md`, "utf8")
  .split("\n")
  .filter((line) => /^\| [A-Z]\d+ \|/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, id = "", , outcome = "", tests = ""]) => ({ id, outcome, files: tests.split(" ") }));

/** Every row of the table of attacks, by the first letter of its id. */
const ROWS = { B: 11, S: 4, X: 3, J: 5, C: 4, P: 2, G: 2, Q: 2, R: 7, L: 1 };

/** Ids behind the word "attack", in parentheses, or before a title's colon; no comment about other things. */
function names(source: string, id: string): boolean {
  return new RegExp(`(?:FAULTS|[Aa]ttacks?)\\b.*\\b${id}\\b|["(]${id}[:),]`).test(source);
}

test("the table has every row, once", () => {
  const ids = Object.entries(ROWS).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
  );
  expect(rows.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
});

describe("is named by the tests that it names:", () => {
  test.each(rows)("$id", ({ id, files }) => {
    for (const file of files) {
      expect(existsSync(`${ROOT}${file}`), `${file} of ${id}`).toBe(true);
      expect(names(readFileSync(`${ROOT}${file}`, "utf8"), id), `${file} names ${id}`).toBe(true);
    }
  });
});

test("the table's codes are those of the stages", () => {
  const codes = rows.flatMap(({ outcome }) => [...outcome.matchAll(/`([a-z]+)\.([a-z_]+)`/g)]);
  expect(codes.length).toBeGreaterThan(30);
  for (const [, stage, code = ""] of codes) {
    expect(codeFacts(stage as Stage, code), `${stage}.${code}`).toBeDefined();
  }
});

test("no test names a row that the table does not have", () => {
  const known = new Set(rows.map(({ id }) => id));
  const files = globSync(["{packages,services}/*/test/**/*.test.ts", "test/e2e/*.test.ts"], {
    cwd: ROOT,
  });
  expect(files.length).toBeGreaterThan(100);
  for (const file of files) {
    const lines = readFileSync(`${ROOT}${file}`, "utf8").matchAll(/\/\/ Attacks? ([A-Z0-9, ]+)\./g);
    for (const [, ids = ""] of lines) {
      for (const id of ids.split(", ")) expect(known.has(id), `${id} of ${file}`).toBe(true);
    }
  }
});
