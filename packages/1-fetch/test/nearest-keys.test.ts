import { describe, expect, test } from "vitest";
import { archiveByAnotherName } from "../src/nearest-keys.ts";

const found = (lookedFor: string, ...nearest: readonly string[]): string | undefined =>
  archiveByAnotherName({ lookedFor, nearest });

describe("the archive that was meant by a name that is not there", () => {
  test.each([
    ["one letter more", "in/order-2026-11-20.zip", "in/orders-2026-11-20.zip"],
    ["another ending", "in/orders-export.zip", "in/orders-export.tar.gz"],
    ["another case", "in/orders.zip", "in/Orders.zip"],
    ["no folder", "orders.zip", "order.zip"],
    ["a name and a day of its own", "in/order-2026-11-20.zip", "in/orders-2026-11-19.zip"],
    ["encrypted", "in/orders.zip", "in/orders.zip.pgp"],
  ])("is found by %s", (_, lookedFor, key) => {
    expect(found(lookedFor, key)).toBe(key);
  });

  test.each([
    ["another day's", "in/orders-2026-11-20.zip", "in/orders-2026-11-19.zip"],
    ["another part", "in/orders-9.zip", "in/orders-10.zip"],
    ["another day's, with other folders of days", "in/2026/a-1.zip", "in/2025/a-1.zip"],
    ["no archive", "in/orders.zip", "in/order.csv"],
    ["in another folder", "in/orders.zip", "out/orders.zip"],
    ["in a folder of this folder", "in/orders.zip", "in/old/orders.zip"],
  ])("is none that is %s", (_, lookedFor, key) => {
    expect(found(lookedFor, key)).toBeUndefined();
  });

  test("is half of the file's name away at most; the folder does not count", () => {
    // Ten characters: six letters and the ending.
    expect(found("in/abcdef.zip", "in/vwxyzf.zip")).toBe("in/vwxyzf.zip");
    expect(found("in/abcdef.zip", "in/uvwxyz.zip")).toBeUndefined();
    expect(found("a-long-folder/abcdef.zip", "a-long-folder/uvwxyz.zip")).toBeUndefined();
    // Eleven characters: five edits and a half.
    expect(found("in/abcdefg.zip", "in/vwxyzfg.zip")).toBe("in/vwxyzfg.zip");
    expect(found("in/abcdefg.zip", "in/uvwxyzg.zip")).toBeUndefined();
  });

  test("is the first of the nearest that may be meant", () => {
    const nearest = ["in/orders-19.zip", "in/order-20.csv", "in/order-20.zip", "in/ordr-20.zip"];
    expect(found("in/orders-20.zip", ...nearest)).toBe("in/order-20.zip");
  });
});
