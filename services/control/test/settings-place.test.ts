import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { CourierSchema } from "@sluice/api/control/v1/courier_pb";
import {
  ArchiveSettings_Kind,
  type EntrySpecSchema,
  type FileSettingsSchema,
} from "@sluice/api/control/v1/file_settings_pb";
import { describe, expect, test } from "vitest";
import { settingsPlace } from "../src/workflow/actions/settings-place.ts";

type Settings = Exclude<MessageInitShape<typeof FileSettingsSchema>, { $typeName: string }>;
type Entry = Exclude<MessageInitShape<typeof EntrySpecSchema>, { $typeName: string }>;

const CSV: Settings = { format: { case: "delimited", value: {} } };
const zip = (...entries: Entry[]): Settings => ({
  archive: { kind: ArchiveSettings_Kind.ZIP, entries },
});
const named = (tag: string, name: string, settings: Settings = CSV): Entry => ({
  tag,
  selection: { case: "name", value: name },
  settings,
});
const pattern = (tag: string, value: string, settings: Settings = CSV): Entry => ({
  tag,
  selection: { case: "pattern", value },
  settings,
});

/** The tag of what a coordinate of this entry was opened by; with a star for an archive's of all its files. */
function tagOf(settings: Settings, entry: string): string | undefined {
  const courier = create(CourierSchema, { files: [{ tag: "file", settings }] });
  const place = settingsPlace(courier, "file", entry);
  return place === undefined ? undefined : `${place.tag}${place.isOfAll ? "*" : ""}`;
}

describe("the settings that opened", () => {
  test("a file are its own", () => {
    expect(tagOf(CSV, "")).toBe("file");
    expect(settingsPlace(create(CourierSchema, {}), "file", "")).toBeUndefined();
  });

  test("an entry are those that name it, however deep", () => {
    const three = zip(named("a", "a.zip", zip(named("b", "in/b.zip", zip(named("c", "c.csv"))))));
    expect(tagOf(three, "a.zip")).toBe("a");
    expect(tagOf(three, "a.zip/in/b.zip")).toBe("b");
    expect(tagOf(three, "a.zip/in/b.zip/c.csv")).toBe("c");
    expect(tagOf(three, "a.zip/in/b.zip/d.csv")).toBeUndefined();
    expect(tagOf(three, "a.zip/in/b.zipped/c.csv")).toBeUndefined();
  });

  test("an entry go by its name before a pattern", () => {
    const both = zip(pattern("any", "*"), named("one", "one.csv"));
    expect(tagOf(both, "one.csv")).toBe("one");
    expect(tagOf(both, "two.csv")).toBe("any");
  });

  test("an entry may be those of a pattern, in an archive of a pattern too", () => {
    const days = zip(pattern("day", "'x/'*", zip(pattern("rows", "*'.csv'"))));
    // That is the archive, or a file in an archive "x": nobody can tell.
    expect(tagOf(days, "x/1.zip")).toBeUndefined();
    const one = zip(named("day", "x/1.zip", zip(pattern("rows", "*'.csv'"))));
    expect(tagOf(one, "x/1.zip/sub/people.csv")).toBe("rows");
    expect(tagOf(one, "x/1.zip")).toBe("day");
  });

  test("an entry are not known when two patterns, or a name with slashes, leave it open", () => {
    expect(tagOf(zip(pattern("a", "'a'*"), pattern("b", "'b'*")), "a.csv")).toBeUndefined();
    const same = zip(named("inside", "a", zip(named("c", "c"))), named("beside", "a/c"));
    expect(tagOf(same, "a/c")).toBeUndefined();
  });

  test("all files of an archive alike are the archive's, of the one they stand in", () => {
    const alike: Settings = { ...CSV, ...zip() };
    expect(tagOf(alike, "people.csv")).toBe("file*");
    const inner = zip(named("inner", "inner.zip", alike));
    expect(tagOf(inner, "inner.zip/people.csv")).toBe("inner*");
    // The archive itself has settings of its own.
    expect(tagOf(inner, "inner.zip")).toBe("inner");
  });
});
