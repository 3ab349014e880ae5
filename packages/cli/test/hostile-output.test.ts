import { expect, test } from "vitest";
import { toTable, visible } from "../src/print/table.ts";

/** Attack L1: what customers' data says is shown to a person, and never obeyed by the terminal. */

test.each([
  ["\u001b[2J\u001b]0;title\u0007", "\\u001b[2J\\u001b]0;title\\u0007"],
  ["a\nb", "a⏎b"],
  ["a\rb", "a\\u000db"],
  ["\u202etxt.exe", "\\u202etxt.exe"],
  ["\u009b31m", "\\u009b31m"],
  ["\u2028", "\\u2028"],
  ["plain é 日", "plain é 日"],
])("%j is shown as %j", (text, shown) => {
  expect(visible(text)).toBe(shown);
  const lines = toTable(["name"], [[text]])
    .trimEnd()
    .split("\n");
  expect(lines).toHaveLength(2);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the very characters that must not be there
  expect(lines.join("")).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
});
