import { describe, expect, test } from "vitest";
import { judgeFindings, resolveColumns } from "../src/index.ts";
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

  test("says that a file without columns is empty, before it lists what is absent", () => {
    expect(() => resolveColumns(feed, [])).toThrow(
      'the file is empty: it has neither a header nor a record; the primary key column "Customer ID" is absent',
    );
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

describe("columns and fields with paths", () => {
  const feed = feedOf([
    field("id", "integer"),
    field("city", "string", { path: "address.city" }),
    field("town", "string", { incomingName: "city" }),
    field("zip", "string", { path: "address.zip", require: true }),
  ]);

  test("meet by the same path, and by name only where neither has one", () => {
    const plan = resolveColumns(feed, [
      { name: "zip", path: "address.zip", type: "Nullable(String)" },
      { name: "city", type: "Nullable(String)" },
      { name: "city", path: "address.city", type: "Nullable(String)" },
      { name: "ID", type: "Nullable(String)" },
    ]);
    expect(plan.fields.map(({ sourceIndex }) => sourceIndex)).toEqual([3, 2, 1, 0]);
    expect(plan.warnings).toEqual([]);
  });

  test("that do not meet are named by the path, all at once", () => {
    const nested = "Tuple(city Int64, town String)";
    const failure = (() => {
      try {
        resolveColumns(feed, [{ name: "Address", type: nested }]);
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(failure).toMatchObject({ stage: "cast", code: "schema_mismatch" });
    for (const part of [
      'the primary key column "id" is absent',
      'the required column "address.zip" is absent',
    ]) {
      expect(String(failure)).toContain(part);
    }
  });

  test("a part that can never become the field's type is a difference", () => {
    const other = feedOf([
      field("id", "integer", { path: "a.id" }),
      field("list", "integer", { path: "a.list" }),
      field("b", "boolean", { path: "a.f" }),
    ]);
    expect(() =>
      resolveColumns(other, [{ name: "a", type: "Tuple(id Int64, list Array(Int64), f Float64)" }]),
    ).toThrow(
      'the column "a.list" of type Tuple(id Int64, list Array(Int64), f Float64) cannot become the integer "list"; the column "a.f" of type Nullable(Float64) cannot become the boolean "b"',
    );
  });
});

describe("findings of an entry whose records name their own fields", () => {
  const feed = feedOf([
    field("id", "integer"),
    field("must", "string", { require: true, path: "a.must" }),
    field("may", "string"),
    field("seen", "string"),
  ]);
  const plan = resolveColumns(feed, [
    { name: "id", type: "Nullable(String)" },
    { name: "must", path: "a.must", type: "Nullable(String)" },
    { name: "may", type: "Nullable(String)" },
    { name: "seen", type: "Nullable(String)" },
  ]);

  test("are a mismatch that lists every column the feed cannot do without", () => {
    const judge = (): unknown =>
      judgeFindings(feed, plan, { absent: [0, 1, 2], extra: ["other"], warnings: [] });
    expect(judge).toThrow(
      'the primary key column "id" is absent; the required column "a.must" is absent',
    );
    try {
      judge();
    } catch (error) {
      expect(error).toMatchObject({
        stage: "cast",
        code: "schema_mismatch",
        seen: '"seen", "other"',
        expected: '"id", "a.must", "may", "seen"',
      });
    }
  });

  test("are warnings where nothing is missing that must be there", () => {
    expect(
      judgeFindings(feed, plan, { absent: [2], extra: ["x", "Y"], warnings: ["twice: 3"] }),
    ).toEqual([
      'the optional column "may" is absent; it loads as null',
      'not in the feed: "x", "Y"',
      "twice: 3",
    ]);
    expect(judgeFindings(feed, plan, { absent: [], extra: [], warnings: [] })).toEqual([]);
  });
});
