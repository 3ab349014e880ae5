import { expect, test } from "vitest";
import { columnType, membersLeftOut } from "../src/parquet/column-type.ts";
import type { SchemaNode } from "../src/parquet/schema-tree.ts";

const node = (name: string, more: Partial<SchemaNode>): SchemaNode => ({
  name,
  repetition: "required",
  physical: undefined,
  length: 0,
  logical: { kind: "none" },
  children: [],
  leaves: 1,
  ...more,
});
const int = (name: string): SchemaNode => node(name, { physical: "int32" });
const struct = (name: string, ...children: readonly SchemaNode[]): SchemaNode =>
  node(name, { children });
/** Of more digits than any type of ClickHouse has. */
const huge = (name: string): SchemaNode =>
  node(name, { physical: "bytes", logical: { kind: "decimal", precision: 77, scale: 0 } });
const variant = (name: string): SchemaNode => ({
  ...struct(name, node("metadata", { physical: "bytes" }), node("value", { physical: "bytes" })),
  logical: { kind: "other", name: "VARIANT" },
});
const list = (name: string, element: SchemaNode): SchemaNode =>
  node(name, {
    logical: { kind: "list" },
    children: [node("list", { repetition: "repeated", children: [element] })],
  });
const map = (name: string, value: SchemaNode): SchemaNode =>
  node(name, {
    logical: { kind: "map" },
    children: [node("key_value", { repetition: "repeated", children: [int("key"), value] })],
  });

test.each<[string, SchemaNode, string, (string | undefined)[][]]>([
  ["nothing of a struct that is read whole", struct("s", int("a")), "Tuple(`a` Int32)", []],
  [
    "members of a struct",
    struct("s", int("a"), huge("d"), variant("v")),
    "Tuple(`a` Int32)",
    [
      ["s", "d"],
      ["s", "v"],
    ],
  ],
  [
    "a struct without a member that is read, as one",
    struct("s", int("a"), struct("t", huge("d"))),
    "Tuple(`a` Int32)",
    [
      ["s", "t", "d"],
      ["s", "t"],
    ],
  ],
  [
    "members that share a name, or have none",
    struct("s", int("a"), int("b"), int("b"), int("")),
    "Tuple(`a` Int32)",
    [
      ["s", "b"],
      ["s", "b"],
      ["s", ""],
    ],
  ],
  [
    "members of a list's elements",
    list("l", struct("element", int("a"), variant("v"))),
    "Array(Tuple(`a` Int32))",
    [["l", undefined, "v"]],
  ],
  [
    "members of a repeated group, which is a list without saying so",
    { ...struct("r", int("a"), huge("d")), repetition: "repeated" },
    "Array(Tuple(`a` Int32))",
    [["r", undefined, "d"]],
  ],
  [
    "members of a list's elements in the older form",
    node("l", {
      logical: { kind: "list" },
      children: [{ ...struct("array", int("a"), huge("d")), repetition: "repeated" }],
    }),
    "Array(Tuple(`a` Int32))",
    [["l", undefined, "d"]],
  ],
  [
    "members of a map's values",
    map("m", struct("value", int("a"), list("v", huge("element")))),
    "Map(Int32, Tuple(`a` Int32))",
    [["m", undefined, "v"]],
  ],
])("a column's type leaves out %s, and says so", (_, column, type, leftOut) => {
  expect(columnType(column)).toBe(type);
  expect(membersLeftOut(column)).toEqual(leftOut);
});
