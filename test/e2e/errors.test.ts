import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { ActionKind, Stage } from "@sluice/api/control/v1/failure_pb";
import { Compression } from "@sluice/api/control/v1/file_settings_pb";
import { type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { createMessage, encrypt, generateKey, readKey } from "openpgp";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type CourierOptions,
  DAY,
  type FeedSpec,
  type FileSettings,
  INTEGER,
  STRING,
  type Story,
  startStory,
} from "./story.ts";

/** Every failure leaves the domain table as it was, and says stage, code, object, place and what to do. */

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING, require: true },
  ],
  primaryKey: ["id"],
};
const GOOD = "id,name\n1,One\n2,Two\n";

let story: Story;
let feedId = "";
let pgp: { readonly publicKey: string; readonly credentialId: string };
/** Texts that no log and no error may hold. */
const secrets: string[] = [];
const digest = async (): Promise<unknown> =>
  await story.rows("SELECT *, toString(_updated) AS version FROM errors.people ORDER BY id");
let before: unknown;

beforeAll(async () => {
  story = await startStory();
  feedId = await story.feed("errors", "people", SPEC);
  await story.customer.put("good.csv", GOOD);
  await story.run(await story.courier({ feedId, key: "good.csv" }));
  before = await digest();
  const { publicKey, privateKey } = await generateKey({ userIDs: [{ name: "Acme" }] });
  secrets.push(...privateKey.split("\n").filter((line) => line.length > 40));
  pgp = { publicKey, credentialId: await pgpCredential("Acme PGP", privateKey) };
});
afterAll(async () => await story[Symbol.asyncDispose]());

async function pgpCredential(name: string, privateKeyBlock: string): Promise<string> {
  const { credential } = await story.credentials.createCredential({
    credential: { name, kind: { case: "pgp", value: { privateKeyBlock } } },
  });
  return credential?.id ?? "";
}

async function bucketCredential(
  name: string,
  value: { readonly targetRoleArn: string; readonly bucket: string },
): Promise<string> {
  const { credential } = await story.credentials.createCredential({
    credential: { name, kind: { case: "iamRoleToRole", value } },
  });
  return credential?.id ?? "";
}

async function encrypted(bytes: Uint8Array, publicKey = pgp.publicKey): Promise<Uint8Array> {
  const message = await createMessage({ binary: bytes });
  const encryptionKeys = await readKey({ armoredKey: publicKey });
  return (await encrypt({ message, encryptionKeys, format: "binary" })) as Uint8Array;
}

const gzip: FileSettings = {
  compression: Compression.GZIP,
  format: { case: "delimited", value: {} },
};
const withPgp = (credentialId = pgp.credentialId): FileSettings => ({
  encryption: { case: "pgp", value: { credentialId } },
  format: { case: "delimited", value: {} },
});

/** Runs a courier that must fail, and checks what every failure owes. */
async function failed(
  options: Omit<CourierOptions, "feedId">,
  expected: {
    readonly stage: Stage;
    readonly code: string;
    readonly action: ActionKind;
    readonly key?: string;
  },
): Promise<Workflow> {
  const workflow = await story.run(await story.courier({ feedId, ...options }));
  const { stage, code, action, key } = expected;
  expect(workflow).toMatchObject({
    state: Workflow_State.FAILED,
    failure: {
      stage,
      code,
      action,
      message: expect.stringMatching(/\w/),
      advice: expect.stringMatching(/\w/),
      ...(key === undefined ? {} : { coordinate: { bucket: "acme-exports", key } }),
    },
  });
  expect(await digest()).toEqual(before);
  return workflow;
}

test("a bucket that is not there: connect/bucket_not_found", async () => {
  const credentialId = await bucketCredential("No bucket", {
    targetRoleArn: story.customer.roleArn,
    bucket: "acme-exports-old",
  });
  // The role only allows its own bucket; a bucket that does not exist is named before that is looked at.
  await failed(
    { key: "good.csv", credentialId },
    {
      stage: Stage.CONNECT,
      code: "bucket_not_found",
      action: ActionKind.INVALID_BUCKET_NAME,
    },
  );
});

test("a bucket name that S3 would never give: refused when the credential is made, by its field", async () => {
  const creating = bucketCredential("Bad bucket", {
    targetRoleArn: story.customer.roleArn,
    bucket: "Not_A_Bucket",
  });
  await expect(creating).rejects.toThrow(/iam_role_to_role\.bucket/);
});

test("a role that demands another external id: connect/invalid_credentials", async () => {
  const { arn } = await story.local.aws.putRole({
    name: "other-external-id",
    accountId: "111122223333",
    trustPolicy: {
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Principal: { AWS: (await story.credentials.getPlatformIdentity({})).platformRoleArn },
          Action: "sts:AssumeRole",
          Condition: { StringEquals: { "sts:ExternalId": "somebody-elses" } },
        },
      ],
    },
    policy: {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "*" }],
    },
  });
  const credentialId = await bucketCredential("Wrong external id", {
    targetRoleArn: arn,
    bucket: "acme-exports",
  });
  const { status } = await story.credentials.testCredential({ id: credentialId });
  expect(status).toMatchObject({
    successful: false,
    summary: expect.stringContaining("connect/invalid_credentials"),
  });
  await failed(
    { key: "good.csv", credentialId },
    {
      stage: Stage.CONNECT,
      code: "invalid_credentials",
      action: ActionKind.INVALID_CREDENTIALS,
    },
  );
});

test("a role that is gone: connect/invalid_credentials", async () => {
  const credentialId = await bucketCredential("Role gone", {
    targetRoleArn: "arn:aws:iam::111122223333:role/never-was",
    bucket: "acme-exports",
  });
  await failed(
    { key: "good.csv", credentialId },
    {
      stage: Stage.CONNECT,
      code: "invalid_credentials",
      action: ActionKind.INVALID_CREDENTIALS,
    },
  );
});

test("a file that is not there: list/file_not_found, with the nearest ones", async () => {
  const workflow = await failed(
    { pattern: "'goood-'yyyy-MM-dd'.csv'" },
    { stage: Stage.LIST, code: "file_not_found", action: ActionKind.MISSING_FILE },
  );
  expect(workflow.failure?.message).toContain(`goood-${DAY}.csv`);
});

test("an object that is replaced while it is read: fetch/object_changed", async () => {
  const key = "replaced.csv";
  const lines = Array.from({ length: 300_000 }, (_, i) => `${i},${"x".repeat(40)}`);
  await story.customer.put(key, `id,name\n${lines.join("\n")}\n`);
  await story.local.aws.faults.add({
    operation: "GetObject",
    key,
    times: 1,
    effect: { kind: "reset", afterBytes: 5_000_000 },
  });
  await story.local.aws.faults.add({
    operation: "GetObject",
    key,
    times: 1,
    effect: { kind: "replace", afterBytes: 1_000_000, body: GOOD },
  });
  await failed(
    { key },
    { stage: Stage.FETCH, code: "object_changed", action: ActionKind.RETRY, key },
  );
});

test("a file encrypted to another key: decrypt/no_matching_key, with the ids wanted and held", async () => {
  const other = await generateKey({ userIDs: [{ name: "Other" }] });
  const key = "other.csv.pgp";
  await story.customer.put(key, await encrypted(Buffer.from(GOOD), other.publicKey));
  const { failure } = await failed(
    { key, settings: withPgp() },
    { stage: Stage.DECRYPT, code: "no_matching_key", action: ActionKind.PGP_ERROR, key },
  );
  const wanted = (await readKey({ armoredKey: other.publicKey }))
    .getSubkeys()[0]
    ?.getKeyID()
    .toHex();
  const held = (await readKey({ armoredKey: pgp.publicKey })).getSubkeys()[0]?.getKeyID().toHex();
  expect(`${failure?.seen}`.toLowerCase()).toContain(wanted);
  expect(`${failure?.expected}`.toLowerCase()).toContain(held);
});

test("a message that was altered: decrypt/integrity_failed, and none of its rows is ever seen", async () => {
  const key = "altered.csv.pgp";
  const message = await encrypted(Buffer.from(GOOD.repeat(20_000)));
  message[message.length - 30] = (message[message.length - 30] ?? 0) ^ 1;
  await story.customer.put(key, message);
  await failed(
    { key, settings: withPgp() },
    { stage: Stage.DECRYPT, code: "integrity_failed", action: ActionKind.PGP_ERROR, key },
  );
});

test("configured as gzip, but plain text: decompress/not_this_container", async () => {
  await story.customer.put("plain.csv", GOOD);
  const { failure } = await failed(
    { key: "plain.csv", settings: gzip },
    {
      stage: Stage.DECOMPRESS,
      code: "not_this_container",
      action: ActionKind.UNABLE_TO_DECOMPRESS,
      key: "plain.csv",
    },
  );
  expect(failure?.expected).toMatch(/gzip/);
  expect(failure?.seen).toMatch(/\w/);
});

test("a Parquet feed's file that is text: parse/malformed; that is gzip where none is allowed: not_this_container", async () => {
  const parquet: FileSettings = { format: { case: "parquet", value: {} } };
  await failed(
    { key: "good.csv", settings: parquet },
    {
      stage: Stage.PARSE,
      code: "malformed",
      action: ActionKind.FIX_FILE_OR_SETTINGS,
      key: "good.csv",
    },
  );
  await story.customer.put("zipped.bin", gzipSync(GOOD));
  await failed(
    { key: "zipped.bin", settings: { ...parquet, compression: Compression.NONE } },
    {
      stage: Stage.DECOMPRESS,
      code: "not_this_container",
      action: ActionKind.UNABLE_TO_DECOMPRESS,
      key: "zipped.bin",
    },
  );
});

test("a gzip that ends too early: decompress/truncated", async () => {
  const whole = gzipSync(
    `id,name\n${Array.from({ length: 5000 }, (_, i) => `${i},${i * 7919}`).join("\n")}\n`,
  );
  await story.customer.put("cut.csv.gz", whole.subarray(0, whole.length - 9));
  await failed(
    { key: "cut.csv.gz", settings: gzip },
    {
      stage: Stage.DECOMPRESS,
      code: "truncated",
      action: ActionKind.BAD_ARCHIVE,
      key: "cut.csv.gz",
    },
  );
});

test("more broken rows than the feed allows: cast/threshold_exceeded, and the rows can be read", async () => {
  const lines = Array.from({ length: 100 }, (_, i) => (i < 3 ? `${i},a,b,c` : `${i},ok`));
  await story.customer.put("ragged.csv", `id,name\n${lines.join("\n")}\n`);
  const workflow = await failed(
    { key: "ragged.csv" },
    { stage: Stage.CAST, code: "threshold_exceeded", action: ActionKind.THRESHOLD_EXCEEDED },
  );
  expect(workflow.failure?.coordinate).toMatchObject({
    bucket: story.customer.bucket,
    key: "ragged.csv",
    etag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
    row: 1n,
  });
  const { rejects } = await story.tables.listRejects({ feedId, workflowId: workflow.id });
  expect(rejects.map(({ row, stage, code, key }) => ({ row, stage, code, key }))).toEqual(
    [1n, 2n, 3n].map((row) => ({ row, stage: "parse", code: "malformed", key: "ragged.csv" })),
  );
});

test("a quote that is never closed: parse/malformed, with the row and the byte where it opens", async () => {
  await story.customer.put("unclosed.csv", 'id,name\n1,One\n2,"Two\n3,Three\n');
  const { failure } = await failed(
    { key: "unclosed.csv" },
    {
      stage: Stage.PARSE,
      code: "malformed",
      action: ActionKind.FIX_FILE_OR_SETTINGS,
      key: "unclosed.csv",
    },
  );
  expect(failure?.coordinate).toMatchObject({ row: 2n, byteOffset: 16n });
});

test("required columns that are missing: cast/schema_mismatch, all named at once", async () => {
  await story.customer.put("columns.csv", "number,title\n1,One\n");
  const { failure } = await failed(
    { key: "columns.csv" },
    {
      stage: Stage.CAST,
      code: "schema_mismatch",
      action: ActionKind.SCHEMA_MISMATCH,
      key: "columns.csv",
    },
  );
  expect(failure?.message).toMatch(/"id".*"name"/);
});

test("an altered message that also does not parse only says that it was altered", async () => {
  const key = "oracle.csv.pgp";
  const message = await encrypted(Buffer.from(`number,title\n${"1,One\n".repeat(50_000)}`));
  message[message.length - 30] = (message[message.length - 30] ?? 0) ^ 1;
  await story.customer.put(key, message);
  const { failure } = await failed(
    { key, settings: withPgp() },
    { stage: Stage.DECRYPT, code: "integrity_failed", action: ActionKind.PGP_ERROR, key },
  );
  expect(`${failure?.message}${failure?.seen}`).not.toMatch(/title|column/);
});

// Attack R7.
test("no log holds a secret or a customer's value, whatever failed", async () => {
  const { control, ingest, clickhouse } = story.local;
  secrets.push(clickhouse?.users.loader.password ?? "", clickhouse?.users.admin.password ?? "");
  const seen: string[] = [];
  for (const { logFile } of [control, ingest]) seen.push(await readFile(logFile, "utf8"));
  const logs = seen.join("\n");
  expect(logs).toContain("no_matching_key");
  expect(secrets.length).toBeGreaterThan(4);
  expect(secrets.filter((secret) => secret === "" || logs.includes(secret))).toEqual([]);
  // A cell of good.csv, a header of the altered message, and a name of the file that is not closed.
  expect(logs).not.toMatch(/2,Two|number,title|3,Three/);
});
