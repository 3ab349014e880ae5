import { describe, expect, test } from "vitest";
import { resolveColumns } from "../src/index.ts";
import { feedOf, field, textColumns } from "./server.ts";

const feed = feedOf([
  field("id", "integer", { incomingName: "Customer ID" }),
  field("v", "string", { require: true }),
  field("w", "date"),
  field("x", "string", { include: false }),
]);

describe("resolving columns", () => {
  test("matches names without regard to case and chooses what is loaded", () => {
    const plan = resolveColumns(feed, textColumns(["X", "W", "V", "CUSTOMER id"]));
    expect(plan.fields.map(({ field: { name }, sourceIndex }) => [name, sourceIndex])).toEqual([
      ["id", 3],
      ["v", 2],
      ["w", 1],
    ]);
    expect(plan.chosen).toEqual([1, 2, 3]);
    expect(plan.warnings).toEqual([]);
  });

  test("loads an absent optional column as null and passes over extra ones, with a warning each", () => {
    const plan = resolveColumns(feed, textColumns(["customer id", "v", "more"]));
    expect(plan.fields[2]).toMatchObject({ sourceIndex: undefined });
    expect(plan.warnings).toEqual([
      'the optional column "w" is absent; it loads as null',
      'not in the feed: "more"',
    ]);
  });

  test("lists every difference in one error", () => {
    const columns = [...textColumns(["V", "v2"]), { name: "w", type: "Nullable(Bool)" }];
    let failure: unknown;
    try {
      resolveColumns(
        { ...feed, fields: [...feed.fields, field("z", "float", { require: true })] },
        columns,
      );
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({
      stage: "cast",
      code: "schema_mismatch",
      seen: '"V", "v2", "w"',
    });
    for (const part of [
      'the primary key column "Customer ID" is absent',
      'the required column "z" is absent',
      'the column "w" of type Nullable(Bool) cannot become the date "w"',
    ]) {
      expect(String(failure)).toContain(part);
    }
  });

  test("refuses two columns that could both be meant, unless one is spelled like the field", () => {
    expect(() => resolveColumns(feed, textColumns(["customer id", "CUSTOMER ID", "v"]))).toThrow(
      '2 columns are named "Customer ID"',
    );
    const plan = resolveColumns(feed, textColumns(["customer id", "Customer ID", "v"]));
    expect(plan.fields[0]).toMatchObject({ sourceIndex: 1 });
  });
});
