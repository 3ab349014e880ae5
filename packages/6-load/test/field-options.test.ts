import { expect, test } from "vitest";
import { assertLoadable } from "../src/columns.ts";
import { feedOf, field } from "./server.ts";

test.each([
  [
    "a zone that is none",
    { timeZone: "Europe/Nowhere" },
    '"Europe/Nowhere", which is no IANA zone',
  ],
  ["an offset as a zone", { timeZone: "+02:00" }, "no IANA zone"],
  ["a quote in a zone", { timeZone: "UTC', now(), '" }, "no IANA zone"],
  ["a separator of two characters", { thousandsSeparator: ",," }, "none of , . ' _ and the blank"],
  ["a digit as a separator", { decimalSeparator: "1" }, "neither . nor ,"],
  ["one sign for both", { thousandsSeparator: "." }, "set the decimal separator too"],
  ["no word at all", { trueWords: [] }, "no word for true"],
  ["an empty word", { falseWords: ["x", ""] }, "an empty word for false"],
  ["a word for both", { trueWords: ["JA"], falseWords: ["ja"] }, '"JA" for true and for false'],
  ["a word that the other side has by itself", { trueWords: ["N"] }, '"N" for true and for false'],
])("a feed with %s is refused", (_, options, message) => {
  const feed = feedOf([field("id", "integer"), field("v", "string", options)]);
  expect(() => assertLoadable(feed)).toThrow(message);
});

test("zones are known under any case and under older names", () => {
  for (const timeZone of ["europe/berlin", "UTC", "Asia/Calcutta", "US/Pacific", "Etc/GMT+5"]) {
    assertLoadable(feedOf([field("id", "integer"), field("v", "datetime", { timeZone })]));
  }
});
