import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { ArchiveSettings_Kind, Compression } from "@sluice/api/control/v1/file_settings_pb";
import {
  type Preview,
  type PreviewObjectRequestSchema,
  type PreviewTable,
  PreviewView,
} from "@sluice/api/control/v1/preview_pb";
import { createMessage, encrypt, generateKey, readKey } from "openpgp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FORMATS, RECORDS } from "./formats.ts";
import { LAYERS, PGP_PASSPHRASE, tar, zip } from "./layers.ts";
import {
  CSV,
  type FeedSpec,
  type FileSettings,
  INTEGER,
  PARQUET,
  STRING,
  type Story,
  startStory,
} from "./story.ts";

const PAYMENTS: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING, require: true },
    {
      incomingName: "amount",
      type: { type: { case: "decimal", value: { precision: 10, scale: 2 } } },
    },
    { incomingName: "day", type: { type: { case: "date", value: {} } } },
  ],
  primaryKey: ["id"],
};
const EXPECTED = RECORDS.map(({ id, name, amount, day }) => [
  String(id),
  name,
  String(amount),
  day,
]);

let story: Story;
let feedId: string;
let phraseId: string;
beforeAll(async () => {
  story = await startStory({ ingestEnvironment: { SLUICE_MAX_PREVIEW_SPOOL_MIB: "1" } });
  feedId = await story.feed("acme", "payments", PAYMENTS);
  phraseId = await pgpCredential({ passphrase: PGP_PASSPHRASE });
});
afterAll(async () => await story[Symbol.asyncDispose]());

async function pgpCredential(value: {
  passphrase?: string;
  privateKeyBlock?: string;
}): Promise<string> {
  const name = `pgp ${Math.random()}`;
  const { credential } = await story.credentials.createCredential({
    credential: { name, kind: { case: "pgp", value } },
  });
  return credential?.id ?? "";
}

type Asked = Partial<Exclude<MessageInitShape<typeof PreviewObjectRequestSchema>, Message>>;

async function preview(key: string, settings: FileSettings, more: Asked = {}): Promise<Preview> {
  const { preview: seen } = await story.sources.previewObject({
    credentialId: story.credentialId,
    key,
    settings,
    ...more,
  });
  if (seen === undefined) throw new Error("no preview came");
  return seen;
}

function tableOf({ content, failure }: Preview): PreviewTable {
  if (content.case !== "table") throw new Error(`no table but ${failure?.message}`);
  return content.value;
}

const valuesOf = (seen: Preview): (string | undefined)[][] =>
  tableOf(seen).rows.map(({ cells }) => cells.map(({ value }) => value));

const inPgp = (credentialId: string): FileSettings => ({
  encryption: { case: "pgp", value: { credentialId } },
});

describe.concurrent("every format, through the layers around it", () => {
  const layers = LAYERS.filter(({ name }) =>
    ["plain", "gzip", "tar.gz", "PGP", "zip in PGP"].includes(name),
  );
  it.each(FORMATS.flatMap((format) => layers.map((layer) => ({ format, layer }))))(
    "previews $format.name, $layer.name, as a table typed as the feed would (PV-1, PV-2, PV-6)",
    async ({ format, layer }) => {
      const key = `${format.name} ${layer.name}`;
      await story.customer.put(
        key,
        (await layer.wrap?.(await format.bytes())) ?? new Uint8Array(0),
      );
      const settings: FileSettings = {
        ...format.settings,
        ...layer.settings,
        ...(layer.isPgp ? inPgp(phraseId) : {}),
      };
      const typing = { typing: { case: "feedId", value: feedId } } as const;
      const typed = await preview(key, settings, typing);
      expect(typed.failure).toBeUndefined();
      expect(valuesOf(typed)).toEqual(EXPECTED);
      const untyped = await preview(key, settings);
      expect(untyped.failure).toBeUndefined();
      expect(tableOf(untyped).columns.map(({ name }) => name)).toEqual([
        "id",
        "name",
        "amount",
        "day",
      ]);
      expect(valuesOf(untyped).map((row) => [row[0], row[1], row[3]])).toEqual(
        EXPECTED.map((row) => [row[0], row[1], row[3]]),
      );
      if (!["zip", "tar"].some((kind) => layer.name.includes(kind))) {
        expect(typed.complete).toBe(true);
      }
    },
  );

  it.each(LAYERS.filter(({ wrap }) => wrap !== undefined))(
    "tells the layers of a CSV file in $name (PV-1)",
    async (layer) => {
      const key = `layers ${layer.name}`;
      await story.customer.put(
        key,
        (await layer.wrap?.(Buffer.from("id,name\n1,Ann\n"))) ?? new Uint8Array(0),
      );
      const settings = { ...CSV, ...layer.settings, ...(layer.isPgp ? inPgp(phraseId) : {}) };
      const seen = await preview(key, settings);
      expect(valuesOf(seen)).toEqual([["1", "Ann"]]);
      const kinds: Record<string, string[]> = {
        plain: [],
        "tar.gz": ["gzip", "tar"],
        PGP: ["pgp"],
        "gzip in PGP": ["pgp", "gzip"],
        "zip in PGP": ["pgp", "zip"],
      };
      expect(seen.layers.map(({ kind }) => kind).toSorted()).toEqual(
        (kinds[layer.name] ?? [layer.name]).toSorted(),
      );
      const raw = await preview(key, settings, { view: PreviewView.RAW });
      expect(raw.content).toMatchObject({
        case: "raw",
        value: { shown: { case: "text", value: "id,name\n1,Ann\n" } },
      });
    },
  );
});

describe("what a preview shows is what a load does", () => {
  it("shows the same values and the same rejects as the load stages (PV-1, PV-5)", async () => {
    const key = "both.csv";
    const lines = Array.from({ length: 50 }, (_, at) =>
      at % 10 === 3
        ? `${at},bad day,1,32/13/2024`
        : `${at},n${at},${at}.50,2024-01-0${(at % 9) + 1}`,
    );
    const body = ["id,name,amount,day", ...lines, "1,too,many,2024-01-01,fields", ",no key,1,"];
    await story.customer.put(key, `${body.join("\n")}\n`);
    const spec = { ...PAYMENTS, errorThresholdPercent: 100 };
    const id = await story.feed("acme", "both", spec);
    const seen = await preview(key, CSV, { typing: { case: "feedId", value: id } });
    const workflow = await story.run(await story.courier({ feedId: id, key }));
    expect(workflow.failure).toBeUndefined();

    const good = tableOf(seen).rows.filter(({ reject }) => reject === undefined);
    const loaded = await story.rows<Record<string, string>>(
      "SELECT toString(_row) AS row, toString(id) AS id, name, toString(amount) AS amount, toString(day) AS day FROM acme.both FINAL ORDER BY _row SETTINGS output_format_decimal_trailing_zeros = 0",
    );
    expect(good.map(({ row, cells }) => [String(row), ...cells.map(({ value }) => value)])).toEqual(
      loaded.map(({ row, id: key, name, amount, day }) => [row, key, name, amount, day]),
    );
    const { rejects } = await story.tables.listRejects({ feedId: id, pageSize: 100 });
    expect(
      tableOf(seen)
        .rows.flatMap(({ reject }) => reject ?? [])
        .map(({ row, stage, code, field, value, message, byteOffset }) => [
          row,
          stage,
          code,
          field,
          value,
          message,
          byteOffset,
        ]),
    ).toEqual(
      rejects.map(({ row, stage, code, field, value, message, byteOffset }) => [
        row,
        stage,
        code,
        field,
        value,
        message,
        byteOffset,
      ]),
    );
    expect(rejects).toHaveLength(7);
  });

  it("lets the user's delimiter win, and shows what a wrong one does (PV-5)", async () => {
    await story.customer.put("semicolons.csv", "id;name\n1;Ann\n2;Bob\n");
    const wrong = await preview("semicolons.csv", CSV);
    expect(tableOf(wrong).columns.map(({ name }) => name)).toEqual(["id;name"]);
    const right = await preview("semicolons.csv", {
      format: { case: "delimited", value: { delimiter: ";" } },
    });
    expect(valuesOf(right)).toEqual([
      ["1", "Ann"],
      ["2", "Bob"],
    ]);
    // The file changes, and looking again shows what is there now: refresh (PV-1).
    await story.customer.put("semicolons.csv", "id;name\n3;Cyd\n");
    const again = await preview("semicolons.csv", right.settings as FileSettings);
    expect(valuesOf(again)).toEqual([["3", "Cyd"]]);
  });

  it("types by fields that no feed has yet (FE-4, CO-10)", async () => {
    await story.customer.put("fields.csv", "id,born\n1,29.02.2024\nx,30.02.2024\n");
    const seen = await preview("fields.csv", CSV, {
      typing: {
        case: "fields",
        value: {
          fields: [
            { incomingName: "ID", name: "key", type: INTEGER },
            {
              incomingName: "born",
              type: { type: { case: "date", value: {} } },
              format: "dd.MM.yyyy",
            },
          ],
          primaryKey: ["key"],
        },
      },
    });
    const { columns, rows } = tableOf(seen);
    expect(columns.map(({ name, type }) => [name, type?.type.case])).toEqual([
      ["key", "integer"],
      ["born", "date"],
    ]);
    expect(
      rows.map(({ cells }) => cells.map(({ value, code, raw }) => [value, code, raw])),
    ).toEqual([
      [
        ["1", "", ""],
        ["2024-02-29", "", ""],
      ],
      [
        [undefined, "bad_value", "x"],
        [undefined, "bad_value", "30.02.2024"],
      ],
    ]);
  });

  it("says what a load would fail with instead of failing (PV-1, CR-13)", async () => {
    await story.customer.put("wrong.bin", Buffer.from([0, 1, 2, 255, 254, 10, 13]));
    const compressed = await preview("wrong.bin", { ...CSV, compression: Compression.GZIP });
    expect(compressed.content.case).toBeUndefined();
    expect(compressed.failure).toMatchObject({
      stage: Stage.DECOMPRESS,
      code: "not_this_container",
      coordinate: { key: "wrong.bin" },
    });
    expect(compressed.failure?.advice).not.toBe("");
    const absent = await preview("nowhere.csv", CSV);
    expect(absent.failure).toMatchObject({ stage: Stage.LIST, code: "file_not_found" });
    const raw = await preview("wrong.bin", CSV, { view: PreviewView.RAW });
    expect(raw.content).toMatchObject({
      case: "raw",
      value: { shown: { case: "hex", value: "000102fffe0a0d" } },
    });
    const mismatch = await preview("semicolons.csv", CSV, {
      typing: { case: "feedId", value: feedId },
    });
    expect(mismatch.failure).toMatchObject({ stage: Stage.CAST, code: "schema_mismatch" });
  });

  it("refuses settings that say nothing, by the field (PV-5)", async () => {
    const format = { case: "delimited", value: { delimiter: "x".repeat(17) } } as const;
    const refused = await preview("a", { format }).catch((error: unknown) =>
      ConnectError.from(error),
    );
    expect(refused).toMatchObject({ code: Code.InvalidArgument });
  });
});

describe("PGP", () => {
  it("previews a file encrypted to a key, and tells of a wrong key and a wrong passphrase (PV-2)", async () => {
    const [right, wrong] = await Promise.all(
      ["right", "wrong"].map(async (name) => await generateKey({ userIDs: [{ name }] })),
    );
    if (right === undefined || wrong === undefined) throw new Error("no keys");
    const message = await createMessage({ text: "id,name\n1,Ann\n" });
    const encryptionKeys = await readKey({ armoredKey: right.publicKey });
    await story.customer.put("key.csv.pgp", await encrypt({ message, encryptionKeys }));
    const rightId = await pgpCredential({ privateKeyBlock: right.privateKey });
    const wrongId = await pgpCredential({ privateKeyBlock: wrong.privateKey });
    const seen = await preview("key.csv.pgp", { ...CSV, ...inPgp(rightId) });
    expect(valuesOf(seen)).toEqual([["1", "Ann"]]);
    expect(seen).toMatchObject({ complete: true, layers: [{ kind: "pgp" }] });
    const failed = await preview("key.csv.pgp", { ...CSV, ...inPgp(wrongId) });
    expect(failed.failure).toMatchObject({ stage: Stage.DECRYPT, code: "no_matching_key" });
    expect(failed.failure?.seen).not.toBe("");
    const plain = await preview("both.csv", { ...CSV, ...inPgp(rightId) });
    expect(plain.failure).toMatchObject({ code: "not_encrypted" });
  });

  it("refuses Parquet in PGP at the spool limit, and previews it below (PV-3)", async () => {
    const columns = "number AS id, randomPrintableASCII(100) AS name";
    const parquet = async (rows: number): Promise<Uint8Array> => {
      const result = await story.clickhouse.exec({
        query: `SELECT ${columns} FROM numbers(${rows}) FORMAT Parquet`,
      });
      return Buffer.concat(await Array.fromAsync(result.stream));
    };
    const put = async (key: string, rows: number): Promise<void> => {
      const message = await createMessage({ binary: Buffer.from(await parquet(rows)) });
      const passwords = PGP_PASSPHRASE;
      const bytes = await encrypt({ message, passwords, format: "binary" });
      await story.customer.put(key, bytes as Uint8Array);
    };
    await put("small.parquet.pgp", 1000);
    await put("large.parquet.pgp", 20_000);
    const small = await preview("small.parquet.pgp", { ...PARQUET, ...inPgp(phraseId) });
    expect(tableOf(small).rows).toHaveLength(100);
    expect(small.route).toContain("spooled to disk");
    const large = await preview("large.parquet.pgp", { ...PARQUET, ...inPgp(phraseId) });
    expect(large.content.case).toBeUndefined();
    expect(large.failure).toMatchObject({ stage: Stage.DECOMPRESS, code: "limit_exceeded" });
    expect(large.failure?.message).toContain("SLUICE_MAX_PREVIEW_SPOOL_MIB");
    expect(large.bytesRead).toBe(0n);
    // Bytes need no reading at random, and have no such limit.
    const raw = await preview(
      "large.parquet.pgp",
      { ...PARQUET, ...inPgp(phraseId) },
      {
        view: PreviewView.RAW,
        maxBytes: 4,
      },
    );
    expect(raw.content).toMatchObject({ value: { shown: { value: "PAR1" }, moreBytes: true } });
  });
});

describe("only the head is read", () => {
  const LINE = "0123456789,abcdefghijklmnopqrstuvwxyz\n";
  const large = (): Buffer => Buffer.from(`id,name\n${LINE.repeat(400_000)}`);

  it.each(["plain", "gzip", "PGP"])("of a large $0 object (PV-1)", async (name) => {
    const layer = LAYERS.find((each) => each.name === name);
    const bytes = (await layer?.wrap?.(large())) ?? large();
    await story.customer.put(`large ${name}`, bytes);
    const settings = { ...CSV, ...(name === "PGP" ? inPgp(phraseId) : {}) };
    const seen = await preview(`large ${name}`, settings, { maxRows: 20 });
    expect(tableOf(seen).rows).toHaveLength(20);
    expect(seen).toMatchObject({ complete: false, objectBytes: BigInt(bytes.byteLength) });
    expect(tableOf(seen).moreRows).toBe(true);
    expect(Number(seen.bytesRead)).toBeLessThan(2 ** 21);
    if (name === "PGP") expect(seen.warnings.join()).toContain("integrity");
  });

  it("goes by the entries that the settings select, by name or by pattern and day (PV-1, PV-5)", async () => {
    const files = [
      ["readme.txt", Buffer.from("hello")],
      ["orders_20240229.csv", Buffer.from("id\n29\n")],
    ] as const;
    await story.customer.put("dated.zip", zip(files));
    const archive = {
      kind: ArchiveSettings_Kind.ZIP,
      entries: [
        {
          tag: "orders",
          selection: { case: "pattern" as const, value: "'orders_'yyyyMMdd'.csv'" },
          settings: CSV,
        },
      ],
    };
    const seen = await preview("dated.zip", { archive }, { date: "2024-02-29" });
    expect([seen.entry, valuesOf(seen)]).toEqual(["orders_20240229.csv", [["29"]]]);
    const other = await preview("dated.zip", { archive }, { date: "2024-03-01" });
    expect(other.failure).toMatchObject({ code: "entry_missing" });
    const unselected = await preview(
      "dated.zip",
      { archive },
      { date: "2024-02-29", entry: "readme.txt" },
    );
    expect(unselected.failure?.message).toContain("settings select no entry");
  });

  it("shows one file of an archive, and the names of all (PV-1)", async () => {
    const files = [
      ["a.csv", Buffer.from("id\n1\n")],
      ["deep/b.csv", Buffer.from("id\n2\n")],
    ] as const;
    await story.customer.put("two.zip", zip(files));
    await story.customer.put("two.tar", tar(files));
    for (const [key, kind] of [
      ["two.zip", ArchiveSettings_Kind.ZIP],
      ["two.tar", ArchiveSettings_Kind.TAR],
    ] as const) {
      const settings = { ...CSV, archive: { kind } };
      const first = await preview(key, settings);
      expect([first.entry, valuesOf(first)]).toEqual(["a.csv", [["1"]]]);
      const second = await preview(key, settings, { entry: "deep/b.csv" });
      expect([second.entry, valuesOf(second)]).toEqual(["deep/b.csv", [["2"]]]);
      expect(second.layers[0]?.entries).toEqual(["a.csv", "deep/b.csv"]);
      const none = await preview(key, settings, { entry: "c.csv" });
      expect(none.failure).toMatchObject({ code: "entry_missing" });
    }
  });
});
