import type { Feed, Field } from "@sluice/schema";
import { describe, expect, test } from "vitest";
import { assertReadable } from "../src/assert-readable.ts";

const feedOf = (field: Partial<Field>): Feed => ({
  id: "feed-1",
  source: "acme",
  name: "orders",
  version: 1,
  fields: [
    {
      incomingName: "x",
      name: "x",
      type: { kind: "string" },
      semanticTags: [],
      include: true,
      require: false,
      ...field,
    },
  ],
  primaryKey: [],
  errorThresholdPercent: 0,
  makeAvailableToStitch: false,
});

describe("where nothing reads the column v, the member s.v, and items[].v", () => {
  const unread = [["v"], ["s", "v"], ["items", undefined, "v"]];

  test.each<[string, Partial<Field>, string]>([
    ["the column", { incomingName: "v" }, '"v"'],
    ["the column, in another case", { incomingName: "V" }, '"v"'],
    ["the column by its path", { path: "v" }, '"v"'],
    ["a part of the column", { path: "v.metadata" }, '"v"'],
    ["the member", { path: "s.v" }, '"s.v"'],
    ["a part of the member", { path: "S.V.value[0]" }, '"s.v"'],
    ["the struct around it, as JSON text", { incomingName: "s" }, '"s.v"'],
    ["the list around it", { path: "items" }, '"items[].v"'],
    ["an element around it", { path: "items[3]" }, '"items[].v"'],
    ["the member of an element", { path: "items[3].v" }, '"items[].v"'],
  ])("a field that wants %s is refused by name", (_, field, name) => {
    expect(() => assertReadable(feedOf(field), unread)).toThrow(
      expect.objectContaining({ stage: "parse", code: "unsupported_feature", seen: name }),
    );
  });

  test.each<[string, Partial<Field>]>([
    ["another column", { incomingName: "w" }],
    ["another member", { path: "s.w" }],
    ["another member of an element", { path: "items[0].w" }],
    ["it, but is left out", { incomingName: "v", include: false }],
    ["a column named like a member", { incomingName: "s.v" }],
    ["a column named so that it looks like a path", { path: '"s.v"' }],
    ["the file's name, whatever its incoming name", { incomingName: "v", lineage: "file" }],
  ])("a field that wants %s is not", (_, field) => {
    expect(() => assertReadable(feedOf(field), unread)).not.toThrow();
  });
});
