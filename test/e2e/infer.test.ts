import {
  ArchiveSettings_Kind,
  Compression,
  DelimitedSettings_Encoding as Encoding,
  JsonSettings_Shape as Shape,
} from "@sluice/api/control/v1/file_settings_pb";
import {
  type InferredSettings,
  FileDifference_Kind as Kind,
} from "@sluice/api/control/v1/inference_pb";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { createMessage, encrypt, generateKey, readKey } from "openpgp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FORMATS } from "./formats.ts";
import { LAYERS, PGP_PASSPHRASE, zip } from "./layers.ts";
import { CSV, type FileSettings, INTEGER, STRING, type Story, startStory } from "./story.ts";

let story: Story;
let phraseId: string;
beforeAll(async () => {
  story = await startStory();
  const { credential } = await story.credentials.createCredential({
    credential: { name: "phrase", kind: { case: "pgp", value: { passphrase: PGP_PASSPHRASE } } },
  });
  phraseId = credential?.id ?? "";
});
afterAll(async () => await story[Symbol.asyncDispose]());

async function infer(
  key: string,
  body: Uint8Array | string,
  settings?: FileSettings,
): Promise<InferredSettings> {
  await story.customer.put(key, body);
  const { inferred } = await story.sources.inferFileSettings({
    credentialId: story.credentialId,
    key,
    ...(settings && { settings }),
  });
  if (inferred === undefined) throw new Error("nothing came");
  return inferred;
}

const guessOf = ({ guesses }: InferredSettings, path: string) =>
  guesses.find(({ fieldPath }) => fieldPath === path);

describe.concurrent("settings", () => {
  it.each(FORMATS)(
    "of $name are told from its bytes, good enough to load by (PV-4, PV-6, CO-10, FE-4)",
    async ({ name, bytes }) => {
      const key = `infer ${name}`;
      const inferred = await infer(key, await bytes());
      expect(inferred.failure).toBeUndefined();
      expect(
        inferred.fields.map(({ incomingName, type }) => [incomingName, type?.type.case]),
      ).toEqual([
        ["id", "integer"],
        ["name", "string"],
        ["amount", name === "Avro" || name === "Parquet" ? "float" : "decimal"],
        ["day", "date"],
      ]);
      expect(inferred.fields[3]?.format).toBe("yyyy-MM-dd");
      expect(inferred.primaryKeyCandidates[0]).toMatchObject({ fields: ["id"], uniqueShare: 1 });
      expect(inferred.sampledRows).toBe(3n);
      for (const { confidence, evidence } of inferred.guesses) {
        expect(evidence).not.toBe("");
        expect(confidence).toBeGreaterThan(0);
      }
      // What was inferred makes a feed and a courier as it is.
      const table = `t${FORMATS.findIndex((format) => format.name === name)}`;
      const { draft, settings } = inferred;
      if (draft === undefined || settings === undefined) throw new Error("no draft");
      const feedId = await story.feed("inferred", table, draft);
      const courier = await story.courier({ feedId, key, settings: settings as FileSettings });
      const workflow = await story.run(courier);
      expect(workflow.failure).toBeUndefined();
      expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
      expect(
        await story.rows(
          `SELECT toString(id) AS id, day FROM inferred.${table} ORDER BY inferred.${table}.id`,
        ),
      ).toEqual([
        { id: "1", day: "2024-02-29" },
        { id: "2", day: "2025-01-31" },
        { id: "9007199254740993", day: "2026-11-20" },
      ]);
    },
  );

  const opened: Record<string, Compression> = {
    gzip: Compression.GZIP,
    zstd: Compression.ZSTD,
    bzip2: Compression.BZIP2,
    xz: Compression.XZ,
    lz4: Compression.LZ4,
    snappy: Compression.SNAPPY,
    brotli: Compression.BROTLI,
    deflate: Compression.DEFLATE,
    "tar.gz": Compression.GZIP,
    "gzip in PGP": Compression.GZIP,
  };
  it.each(LAYERS.filter(({ wrap }) => wrap !== undefined))(
    "tell of $name around a CSV file (PV-4, PV-2)",
    async ({ name, wrap, isPgp }) => {
      const lines = Array.from({ length: 200 }, (_, at) => `${at};name ${at};${at % 7}.5`);
      const body = Buffer.from(`id;name;paid\n${lines.join("\n")}\n`);
      const inferred = await infer(`around ${name}`, (await wrap?.(body)) ?? body);
      expect(inferred.failure).toBeUndefined();
      const { settings } = inferred;
      expect(settings?.compression).toBe(opened[name] ?? Compression.AUTO);
      const kind = name.startsWith("zip")
        ? ArchiveSettings_Kind.ZIP
        : name.startsWith("tar")
          ? ArchiveSettings_Kind.TAR
          : undefined;
      expect(settings?.archive?.kind).toBe(kind);
      expect(settings?.encryption).toMatchObject(
        isPgp ? { case: "pgp", value: { credentialId: phraseId } } : {},
      );
      expect(settings?.format).toMatchObject({ case: "delimited", value: { delimiter: ";" } });
      expect(inferred.fields.map(({ type }) => type?.type.case)).toEqual([
        "integer",
        "string",
        "decimal",
      ]);
    },
  );

  it("that the user gives win over the bytes (PV-5)", async () => {
    const body = "id;name\n1;a,b\n2;c,d\n";
    const free = await infer("given.csv", body);
    expect(guessOf(free, "delimited.delimiter")).toMatchObject({ value: ";", given: false });
    const given = await infer("given.csv", body, {
      format: { case: "delimited", value: { delimiter: ",", headerRows: 0 } },
    });
    expect(given.settings?.format).toMatchObject({ value: { delimiter: ",", headerRows: 0 } });
    expect(guessOf(given, "delimited.delimiter")).toMatchObject({
      value: ",",
      confidence: 1,
      given: true,
    });
    expect(guessOf(given, "delimited.quote")).toMatchObject({ value: '"', given: false });
    // The given ones win in everything that follows: fields are those that this delimiter cuts.
    expect(given.fields.map(({ incomingName }) => incomingName)).toEqual(["column_1"]);
  });

  it("of delimited text: quote, escape, header and encoding (PV-4)", async () => {
    const body = Buffer.from("1|'J\xf6rg'|'a|b'\n2|'Ann'|'c'\n3|'Eve'|'d'\n", "latin1");
    const { settings, fields } = await infer("dialect.txt", body);
    expect(settings?.format).toMatchObject({
      value: { delimiter: "|", quote: "'", headerRows: 0, encoding: Encoding.WINDOWS_1252 },
    });
    expect(fields.map(({ incomingName }) => incomingName)).toEqual([
      "column_1",
      "column_2",
      "column_3",
    ]);
    const escaped = await infer("escaped.csv", 'id,text\n1,"a \\"b\\", c"\n2,"d"\n');
    expect(escaped.settings?.format).toMatchObject({ value: { escape: "\\", headerRows: 1 } });
  });

  it.each([
    ["id,name,\n1,A,\n2,B,\n", "column 3 has no name"],
    ["id,name,name\n1,A,B\n2,B,C\n", "columns 2 and 3 have one name"],
    ["ID,id,name\n1,2,A\n2,3,B\n", "columns 1 and 2 have one name"],
  ])("of a header that a load refuses say so: %j (PV-4)", async (body, fault) => {
    const { settings, warnings, draft, failure } = await infer(`header ${fault}`, body);
    expect(settings?.format).toMatchObject({ value: { headerRows: 1 } });
    expect(warnings.join()).toContain(fault);
    // What the warning says is what a load would say.
    expect(failure).toMatchObject({ code: "malformed" });
    expect(draft).toBeUndefined();
  });

  it("of a first line that names the delimiter pass over it (PV-4)", async () => {
    const found = await infer("excel.csv", "sep=;\r\nid;paid\r\n1;2,5\r\n2;3,5\r\n");
    expect(found.settings?.format).toMatchObject({
      value: { delimiter: ";", skipRows: 1, headerRows: 1 },
    });
    expect(guessOf(found, "delimited.skip_rows")?.evidence).toMatch(/Excel/);
    expect(found.fields.map(({ incomingName }) => incomingName)).toEqual(["id", "paid"]);
    expect(found.sampledRows).toBe(2n);
  });

  it("of text in a code page of DOS warn of its letters (PV-4)", async () => {
    const { warnings } = await infer("dos.csv", Buffer.from("id,name\n1,M\x81ller\n", "latin1"));
    expect(warnings.join()).toMatch(/DOS/);
  });

  it("of nested JSON and XML: shape, record path, row element, values by path (PV-8, PV-4)", async () => {
    const json = JSON.stringify({
      meta: { page: 1 },
      data: {
        orders: [
          { id: 1, customer: { email: "a@b.c", address: { zip: "01234" } }, items: [{ sku: "a" }] },
          { id: 2, customer: { email: "d@e.f" }, items: [], note: "later" },
        ],
      },
    });
    const found = await infer("orders.json", json);
    expect(found.settings?.format).toMatchObject({
      case: "json",
      value: { shape: Shape.RECORDS, recordPath: "data.orders" },
    });
    // The second record's own field is there as well: more than the first is looked at.
    expect(found.fields.map(({ incomingName, path }) => [incomingName, path])).toEqual([
      ["id", ""],
      ["customer.email", "customer.email"],
      ["customer.address.zip", "customer.address.zip"],
      ["items", ""],
      ["note", ""],
    ]);
    expect(found.fields[1]).toMatchObject({ semanticTags: ["email"], nullable: false });
    expect(found.fields[2]).toMatchObject({
      semanticTags: ["postal"],
      nullable: true,
      nullShare: 0.5,
    });
    const xml = await infer(
      "orders.xml",
      '<orders><order no="1"><city>Köln</city></order><order no="2"><city>Rom</city></order></orders>',
    );
    expect(xml.settings?.format).toMatchObject({ case: "xml", value: { rowElement: "order" } });
    expect(xml.fields.map(({ incomingName }) => incomingName).toSorted()).toEqual(["@no", "city"]);
  });
});

describe("fields", () => {
  it("have types with formats, nulls, tags, samples and a measured key (PV-4, CO-10, FE-4)", async () => {
    const lines = Array.from(
      { length: 300 },
      (_, at) =>
        `${at},,user${at}@example.com,${(at % 12) + 1}/${(at % 28) + 1}/2024,"1,${100 + at}.50",${at % 3},0${1000 + at}`,
    );
    const header = "customer_id,first_name,Email,joined,balance,level,zip";
    const { fields, primaryKeyCandidates, draft } = await infer(
      "customers.csv",
      `${[header, ...lines].join("\n")}\n`,
    );
    expect(
      fields.map(({ incomingName, type, format, nullShare, semanticTags }) => [
        incomingName,
        type?.type.case,
        format,
        nullShare,
        semanticTags.join(),
      ]),
    ).toEqual([
      ["customer_id", "integer", "", 0, ""],
      ["first_name", "string", "", 1, "given-name"],
      ["Email", "string", "", 0, "email"],
      ["joined", "date", "MM/dd/yyyy", 0, ""],
      ["balance", "decimal", "", 0, ""],
      ["level", "integer", "", 0, ""],
      ["zip", "string", "", 0, "postal"],
    ]);
    expect(fields[4]?.field?.thousandsSeparator).toBe(",");
    expect(fields[0]?.sampleValues).toEqual(["0", "1", "2", "3", "4"]);
    expect(primaryKeyCandidates[0]).toMatchObject({ fields: ["customer_id"], uniqueShare: 1 });
    expect(draft?.primaryKey).toEqual(["customer_id"]);
    // Tags, nullability and keys say what speaks for them, as types and settings do.
    expect(fields[1]).toMatchObject({
      semanticTagsConfidence: 0.9,
      semanticTagsEvidence: expect.stringContaining("first_name"),
      nullable: true,
      nullableConfidence: 1,
      nullableEvidence: "all 300 rows have no value",
    });
    expect(fields[5]).toMatchObject({ semanticTagsConfidence: 0, semanticTagsEvidence: "" });
    expect(fields[5]?.nullableConfidence).toBeLessThan(1);
    expect(fields[5]?.nullableEvidence).toBe("all 300 rows of the sample have a value");
    expect(primaryKeyCandidates[0]?.confidence).toBeGreaterThan(0.9);
    expect(primaryKeyCandidates[0]?.evidence).toContain("300 keys in 300 rows");
  });

  it("that identify nothing leave it to where the row comes from (FE-4)", async () => {
    const { draft, primaryKeyCandidates } = await infer(
      "same.csv",
      "color,size\nred,1\nred,1\nblue,2\nred,1\n",
    );
    expect(primaryKeyCandidates).toEqual([]);
    if (draft === undefined) throw new Error("no draft");
    expect(draft.primaryKey).toEqual(["source_file", "source_entry", "source_row"]);
    const feedId = await story.feed("inferred", "same", draft);
    const workflow = await story.run(await story.courier({ feedId, key: "same.csv" }));
    expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
  });
});

it("a message is opened by the credential whose key it names (PV-2, PV-4)", async () => {
  const ids: string[] = [];
  for (const name of ["right", "wrong"]) {
    const { privateKey, publicKey } = await generateKey({ userIDs: [{ name }] });
    const { credential } = await story.credentials.createCredential({
      credential: { name, kind: { case: "pgp", value: { privateKeyBlock: privateKey } } },
    });
    ids.push(credential?.id ?? "");
    if (name === "wrong") continue;
    const message = await createMessage({ text: "id,name\n1,Ada\n2,Bo\n" });
    const encryptionKeys = await readKey({ armoredKey: publicKey });
    await story.customer.put("key.pgp", await encrypt({ message, encryptionKeys }));
    const hidden = await encrypt({ message, encryptionKeys, wildcard: true });
    await story.customer.put("hidden.pgp", hidden);
  }
  for (const key of ["key.pgp", "hidden.pgp"]) {
    const { inferred } = await story.sources.inferFileSettings({
      credentialId: story.credentialId,
      key,
    });
    expect(inferred?.failure).toBeUndefined();
    expect(inferred?.settings?.encryption).toMatchObject({
      case: "pgp",
      value: { credentialId: ids[0] },
    });
    expect(inferred?.settings?.format.case).toBe("delimited");
  }
});

describe("what cannot be told", () => {
  it("names the keys that a message wants, when no credential has one (PV-2)", async () => {
    const { publicKey } = await generateKey({ userIDs: [{ name: "elsewhere" }] });
    const message = await createMessage({ text: "id\n1\n" });
    const bytes = await encrypt({
      message,
      encryptionKeys: await readKey({ armoredKey: publicKey }),
    });
    const { failure } = await infer("foreign.pgp", bytes);
    expect(failure).toMatchObject({ code: "no_matching_key" });
    expect(failure?.seen).toMatch(/[0-9A-F]{16}/);
  });

  it("is a failure with advice: empty files, formats that are not read, keys that are not there", async () => {
    expect((await infer("empty", "")).failure?.message).toMatch(/empty/);
    const { inferred } = await story.sources.inferFileSettings({
      credentialId: story.credentialId,
      key: "not-there",
    });
    expect(inferred?.failure).toMatchObject({ code: "file_not_found" });
  });

  const utf16 = (text: string): Buffer => Buffer.from(text, "utf16le");
  const workbook = zip([
    ["[Content_Types].xml", Buffer.from("<Types/>")],
    ["xl/workbook.xml", Buffer.from("<workbook/>")],
    ["xl/worksheets/sheet1.xml", Buffer.from("<worksheet/>")],
  ]);
  it.each<[string, string | Buffer, RegExp]>([
    ["PDF", "%PDF-1.7\n\u0000\u0001", /are PDF: that cannot be loaded/],
    ["ORC", "ORC\b\u0003\u0000", /are ORC: that cannot be loaded/],
    ["xls", Buffer.from("d0cf11e0a1b11ae10000", "hex"), /old Office document such as \.xls: that/],
    ["xlsx", workbook, /an Excel workbook: that cannot be loaded/],
    ["JSONP", 'callback([{"id":1}]);', /are JSONP/],
    ["JSONP in UTF-16", utf16('callback([{"id":1},{"id":2}]);'), /are JSONP/],
    ["a prefix", ')]}\',\n[{"id":1}]', /prefix against scripts/],
  ])("is told by its name and has no format: %s (PV-4)", async (name, body, message) => {
    const { failure, settings, fields, draft } = await infer(`unread ${name}`, body);
    expect(failure?.message).toMatch(message);
    expect(failure?.message).not.toMatch(/is set to/);
    expect([settings?.format.case, fields, draft]).toEqual([undefined, [], undefined]);
  });

  it("is JSON without objects, which makes no draft (PV-4)", async () => {
    const none = await infer("none.json", "[]");
    expect(none.settings?.format.case).toBe("json");
    expect(none.failure).toBeUndefined();
    expect(none.warnings.join()).toMatch(/no record/);
    const numbers = await infer("numbers.json", "[1,2,3]");
    expect(numbers.settings?.format.case).toBe("json");
    for (const { draft } of [none, numbers]) expect(draft).toBeUndefined();
  });

  it("is shown as it is by a preview without settings (PV-1, PV-4)", async () => {
    await story.customer.put("plain.zip", zip([["a.csv", Buffer.from("id|n\n1|x\n2|y\n")]]));
    const { preview } = await story.sources.previewObject({
      credentialId: story.credentialId,
      key: "plain.zip",
    });
    expect(preview?.content).toMatchObject({
      case: "table",
      value: { rows: [{ row: 1n }, { row: 2n }] },
    });
    expect(preview?.settings).toMatchObject({
      archive: { kind: ArchiveSettings_Kind.ZIP },
      format: { case: "delimited", value: { delimiter: "|" } },
    });
  });
});

describe("a file against a feed that is there", () => {
  it("differs in every way at once (CO-11, FE-5)", async () => {
    const feedId = await story.feed("acme", "strict", {
      fields: [
        { incomingName: "id", type: INTEGER, require: true },
        { incomingName: "name", type: STRING, require: true },
        { incomingName: "age", type: INTEGER },
        { incomingName: "born", type: { type: { case: "date", value: {} } } },
        { incomingName: "note", type: STRING },
      ],
      primaryKey: ["id"],
    });
    const key = "check.csv";
    await story.customer.put(
      key,
      "id,age,born,color\n1,old,2024-01-01,red\n,new,nonsense,red\n3,odd,2024-01-03,red\n",
    );
    const asked = { feedId, credentialId: story.credentialId, key, settings: CSV };
    const check = await story.feeds.checkFile(asked);
    expect(check.matches).toBe(false);
    expect(check.failure).toBeUndefined();
    expect(
      check.differences.map(({ kind, error, field, column }) => [kind, error, field || column]),
    ).toEqual([
      [Kind.MISSING_REQUIRED, true, "name"],
      [Kind.KEY_EMPTY, true, "id"],
      [Kind.WRONG_TYPE, true, "age"],
      [Kind.BAD_VALUES, true, "born"],
      [Kind.MISSING_OPTIONAL, false, "note"],
      [Kind.EXTRA_COLUMN, false, "color"],
    ]);
    // A load says the same, as far as it gets.
    const workflow = await story.run(await story.courier({ feedId, key }));
    expect(workflow.failure?.code).toBe("schema_mismatch");

    await story.customer.put(key, "name,ID,age,born,note\nAnn,1,2,2024-01-01,\n");
    expect(await story.feeds.checkFile(asked)).toMatchObject({
      matches: true,
      differences: [],
      sampledRows: 1n,
      rejectedRows: 0n,
    });
  });

  it("differs in columns that no record of JSON has, and types that Parquet declares (CO-11, FE-5)", async () => {
    const feedId = await story.feed("acme", "loose", {
      fields: [
        { incomingName: "id", type: { type: { case: "date", value: {} } } },
        { incomingName: "name", type: STRING, require: true },
      ],
      primaryKey: ["id"],
    });
    await story.customer.put("check.json", '{"id":"2024-01-01","nom":"x"}\n{"id":"2024-01-02"}\n');
    const json = await story.feeds.checkFile({
      feedId,
      credentialId: story.credentialId,
      key: "check.json",
    });
    expect(json.differences.map(({ kind, column }) => [kind, column])).toEqual([
      [Kind.MISSING_REQUIRED, "name"],
      [Kind.EXTRA_COLUMN, "nom"],
    ]);
    const parquet = FORMATS.find(({ name }) => name === "Parquet");
    await story.customer.put("check.parquet", (await parquet?.bytes()) ?? "");
    const { differences } = await story.feeds.checkFile({
      feedId,
      credentialId: story.credentialId,
      key: "check.parquet",
    });
    expect(differences[0]).toMatchObject({ kind: Kind.WRONG_TYPE, error: true, field: "id" });
  });
});

describe("the catalog and the browser", () => {
  it("lists the catalog by name and finds by any part of it, whatever its case (CO-2, CO-3)", async () => {
    const { plugins } = await story.sources.listPlugins({});
    const names = plugins.map(({ name }) => name);
    expect(names).toEqual(names.toSorted((a, b) => a.localeCompare(b)));
    const { plugins: found } = await story.sources.listPlugins({ search: "AMA" });
    expect(found.map(({ id }) => id)).toEqual(["amazon-s3"]);
    expect((await story.sources.listPlugins({ search: "nothing" })).plugins).toEqual([]);
  });

  it("browses prefixes and objects page by page, and previews the one that was chosen (CO-8, CR-13, CR-14)", async () => {
    for (const name of ["a", "b", "c"]) await story.customer.put(`samples/${name}.csv`, "id\n1\n");
    await story.customer.put("samples/deep/d.csv", "id\n1\n");
    const keys: string[] = [];
    const prefixes: string[] = [];
    let pageToken = "";
    do {
      const page = await story.sources.browseObjects({
        credentialId: story.credentialId,
        prefix: "samples/",
        delimiter: "/",
        pageSize: 2,
        pageToken,
      });
      for (const { key, size, etag, modifyTime } of page.objects) {
        keys.push(key);
        expect([size, etag !== "", modifyTime !== undefined]).toEqual([5n, true, true]);
      }
      prefixes.push(...page.prefixes);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect([keys, prefixes]).toEqual([
      ["samples/a.csv", "samples/b.csv", "samples/c.csv"],
      ["samples/deep/"],
    ]);
    const { inferred } = await story.sources.inferFileSettings({
      credentialId: story.credentialId,
      key: keys[0] ?? "",
    });
    expect(inferred?.fields.map(({ incomingName }) => incomingName)).toEqual(["id"]);
  });
});
