import { spawnSync } from "node:child_process";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { type CourierSchema, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { ActionKind, Stage } from "@sluice/api/control/v1/failure_pb";
import {
  ArchiveSettings_Kind,
  Compression,
  type EntrySpecSchema,
} from "@sluice/api/control/v1/file_settings_pb";
import { type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tar, zip } from "./layers.ts";
import { CSV, DAY, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

type Entry = Exclude<MessageInitShape<typeof EntrySpecSchema>, Message>;
type CourierInit = MessageInitShape<typeof CourierSchema>;

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

const NAMES: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};
const JSON_LINES = { format: { case: "json", value: { shape: 2 } } } as const;
const csv = (...rows: string[]): Buffer => Buffer.from(`id,name\n${rows.join("\n")}\n`);

interface ArchiveRun {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly kind?: ArchiveSettings_Kind;
  readonly entries: readonly Entry[];
  /** The feed that each tag goes into. */
  readonly loads: Readonly<Record<string, string>>;
}

let couriers = 0;
async function run({ key, bytes, kind, entries, loads }: ArchiveRun): Promise<Workflow> {
  await story.customer.put(key, bytes);
  const courier: CourierInit = {
    name: `archive courier ${++couriers}`,
    credentialId: story.credentialId,
    files: [
      {
        tag: "archive",
        selection: { case: "key", value: key },
        settings: {
          archive: { kind: kind ?? ArchiveSettings_Kind.ZIP, entries: [...entries] },
        },
      },
    ],
    loads: Object.entries(loads).map(([fileTag, feedId]) => ({
      feed: { case: "feedId" as const, value: feedId },
      fileTag,
      operation: LoadOperation.LOAD,
    })),
  };
  const made = await story.couriers.createCourier({ courier });
  return await story.run(made.courier?.id ?? "");
}

const named = (tag: string, name: string, rest: Partial<Entry> = {}): Entry => ({
  tag,
  selection: { case: "name", value: name },
  settings: CSV,
  ...rest,
});

test("entries go by name and by pattern into feeds of their own, each opened in its own way (SC-6)", async () => {
  const people = await story.feed("archives", "people", NAMES);
  const events = await story.feed("archives", "events", NAMES);
  const bytes = zip([
    ["export/people.csv", csv("1,Ann", "2,Bob")],
    ["export/events_20261120_a.ndjson.gz", gzipSync('{"id":1,"name":"login"}\n')],
    ["export/events_20261120_b.ndjson.gz", gzipSync('{"id":2,"name":"logout"}\n')],
    ["export/events_20261119_a.ndjson.gz", gzipSync('{"id":3,"name":"yesterday"}\n')],
    ["export/readme.txt", Buffer.from("nobody wants this")],
    ["__MACOSX/export/._people.csv", Buffer.from("\0\0\0")],
  ]);
  const workflow = await run({
    key: "by-name.zip",
    bytes,
    entries: [
      named("people", "export/people.csv"),
      {
        tag: "events",
        selection: { case: "pattern", value: "'export/events_'yyyyMMdd'_*.ndjson.gz'" },
        settings: JSON_LINES,
      },
    ],
    loads: { people, events },
  });
  expect(workflow.failure).toBeUndefined();
  expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
  expect(workflow.tasks.map(({ route }) => route).join()).toContain("zip by ranges from S3; ");
  expect(await story.rows("SELECT id, name, _entry FROM archives.people ORDER BY id")).toEqual([
    { id: 1, name: "Ann", _entry: "export/people.csv" },
    { id: 2, name: "Bob", _entry: "export/people.csv" },
  ]);
  expect(await story.rows("SELECT id, name FROM archives.events ORDER BY id")).toEqual([
    { id: 1, name: "login" },
    { id: 2, name: "logout" },
  ]);
});

test("of two entries with one key the later one in the archive counts, whatever is loaded again", async () => {
  const feedId = await story.feed("archives", "later", NAMES);
  const bytes = tar([
    ["b.csv", csv("1,first", "2,first", "3,first")],
    ["a.csv", csv("1,second")],
  ]);
  const entries: Entry[] = [
    { tag: "all", selection: { case: "pattern", value: "'*.csv'" }, settings: CSV },
  ];
  const once = { key: "later.tar", bytes, kind: ArchiveSettings_Kind.TAR, entries };
  for (let time = 0; time < 2; time++) {
    expect((await run({ ...once, loads: { all: feedId } })).failure).toBeUndefined();
    expect(await story.rows("SELECT id, name FROM archives.later ORDER BY id")).toEqual([
      { id: 1, name: "second" },
      { id: 2, name: "first" },
      { id: 3, name: "first" },
    ]);
  }
});

describe("what is not in the archive", () => {
  const bytes = zip([["here.csv", csv("1,here")]]);

  test("stops the load when it is required, naming everything that is missing", async () => {
    const feedId = await story.feed("archives", "missing", NAMES);
    const workflow = await run({
      key: "missing.zip",
      bytes,
      entries: [named("here", "here.csv"), named("gone", "gone.csv"), named("lost", "lost.csv")],
      loads: { here: feedId },
    });
    expect(workflow.state).toBe(Workflow_State.FAILED);
    expect(workflow.failure).toMatchObject({
      stage: Stage.DECOMPRESS,
      code: "entry_missing",
      action: ActionKind.MISSING_FILE,
      message: expect.stringMatching(/"gone\.csv".*"lost\.csv"/),
      coordinate: { key: "missing.zip" },
    });
    const [tables] = await story.rows("SELECT count() AS n FROM archives.missing");
    expect(tables).toEqual({ n: 0 });
  });

  test("is a warning when it is optional", async () => {
    const feedId = await story.feed("archives", "optional", NAMES);
    const workflow = await run({
      key: "optional.zip",
      bytes,
      entries: [named("here", "here.csv"), named("gone", "gone.csv", { optional: true })],
      loads: { here: feedId, gone: feedId },
    });
    expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
    expect(workflow.tasks.flatMap(({ warnings }) => warnings).join()).toContain('"gone.csv"');
    expect(await story.rows("SELECT id FROM archives.optional")).toEqual([{ id: 1 }]);
  });
});

// Attack B6.
describe("an archive inside an archive", () => {
  const inner = zip([["a.csv", csv("1,inside")]]);
  const inside = (settings: Entry["settings"]): Entry => ({
    tag: "inner",
    selection: { case: "name", value: "inner.zip" },
    ...(settings === undefined ? {} : { settings }),
  });
  const archive = (...entries: Entry[]) => ({
    archive: { kind: ArchiveSettings_Kind.ZIP, entries },
  });

  test("is opened when the settings say so", async () => {
    const feedId = await story.feed("archives", "nested", NAMES);
    const workflow = await run({
      key: "nested.zip",
      bytes: zip([["inner.zip", inner]]),
      entries: [inside(archive(named("a", "a.csv")))],
      loads: { a: feedId },
    });
    expect(workflow.failure).toBeUndefined();
    expect(await story.rows("SELECT id, _entry FROM archives.nested")).toEqual([
      { id: 1, _entry: "inner.zip/a.csv" },
    ]);
  });

  test("is refused when they do not, with the setting to make", async () => {
    const feedId = await story.feed("archives", "unsaid", NAMES);
    const workflow = await run({
      key: "unsaid.zip",
      bytes: zip([["inner.zip", inner]]),
      entries: [inside(CSV)],
      loads: { inner: feedId },
    });
    expect(workflow.failure).toMatchObject({
      code: "not_this_container",
      message: expect.stringContaining("archive: zip"),
      coordinate: { entry: "inner.zip" },
    });
  });

  test("is refused beyond the configured depth", async () => {
    const feedId = await story.feed("archives", "deep", NAMES);
    const deep = zip([["inner.zip", zip([["inner.zip", inner]])]]);
    const workflow = await run({
      key: "deep.zip",
      bytes: deep,
      entries: [inside(archive({ ...inside(archive(named("a", "a.csv"))), tag: "innermost" }))],
      loads: { a: feedId },
    });
    expect(workflow.failure).toMatchObject({
      code: "limit_exceeded",
      message: expect.stringContaining("SLUICE_MAX_ARCHIVE_DEPTH = 2"),
    });
  });
});

test("an archive without entry specifications loads every file in it by the settings around it", async () => {
  const feedId = await story.feed("archives", "every", NAMES);
  await story.customer.put(
    "every.zip",
    zip([
      ["a.csv", csv("1,a")],
      ["d/b.csv", csv("2,b")],
    ]),
  );
  const settings = { ...CSV, archive: { kind: ArchiveSettings_Kind.ZIP } };
  const workflow = await story.run(
    await story.courier({ feedId, key: "every.zip", settings }),
    DAY,
  );
  expect(workflow.failure).toBeUndefined();
  expect(await story.rows("SELECT id, name FROM archives.every ORDER BY id")).toEqual([
    { id: 1, name: "a" },
    { id: 2, name: "b" },
  ]);
});

const compressedBy =
  (tool: string) =>
  (bytes: Uint8Array): Uint8Array =>
    spawnSync(tool, ["-c"], { input: bytes }).stdout;
const lacks = (tool: string): boolean => spawnSync(tool, ["--version"]).error !== undefined;

/** The ways to compress a tar; those whose tool is not on this machine are skipped, and say so. */
const TARS: readonly [string, (bytes: Uint8Array) => Uint8Array, Compression, boolean][] = [
  ["tar.gz", (bytes) => gzipSync(bytes), Compression.UNSPECIFIED, false],
  ["tar.zst", (bytes) => zstdCompressSync(bytes), Compression.UNSPECIFIED, false],
  ["tar.bz2", compressedBy("bzip2"), Compression.UNSPECIFIED, lacks("bzip2")],
  ["tar.xz", compressedBy("xz"), Compression.UNSPECIFIED, lacks("xz")],
  // Brotli has no mark of its own: it has to be said.
  ["tar.br", (bytes) => brotliCompressSync(bytes), Compression.BROTLI, false],
];

describe.each(TARS)(
  "%s loads every file in it (PV-6)",
  (name, compress, compression, isSkipped) => {
    test.skipIf(isSkipped)(
      `${name}${isSkipped ? " (skipped: its tool is not installed)" : ""}`,
      async () => {
        const table = name.replace(".", "_");
        const feedId = await story.feed("archives", table, NAMES);
        const files: [string, Uint8Array][] = [
          ["a.csv", csv("1,a")],
          ["d/b.csv", csv("2,b")],
        ];
        await story.customer.put(`every.${name}`, compress(tar(files)));
        const settings = { ...CSV, compression, archive: { kind: ArchiveSettings_Kind.TAR } };
        const courierId = await story.courier({ feedId, key: `every.${name}`, settings });
        const workflow = await story.run(courierId, DAY);
        expect(workflow.failure).toBeUndefined();
        expect(await story.rows(`SELECT id, name FROM archives.${table} ORDER BY id`)).toEqual([
          { id: 1, name: "a" },
          { id: 2, name: "b" },
        ]);
      },
    );
  },
);
