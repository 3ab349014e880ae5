import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";

const role = { targetRoleArn: "arn:aws:iam::123456789012:role/reader", bucket: "acme-data" };
const key = { accessKeyId: "AK", secretAccessKey: "s", bucket: "acme-data" };
const credential = (kind: object, more: object = {}): object => ({
  credential: { name: "n", ...kind, ...more },
});
const integer = { integer: {} };
const id = { incomingName: "id", type: integer };
const spec = { fields: [id], primaryKey: ["id"] };
const feed = (changes: object = {}, more: object = {}): object => ({
  feed: { source: "acme", name: "orders", spec: { ...spec, ...changes }, ...more },
});
const file = { tag: "t", key: "k", settings: { parquet: {} } };
const load = { feedId: "f", fileTag: "t", operation: "LOAD_OPERATION_LOAD" };
const courier = (more: object = {}): object => ({
  courier: { name: "n", credentialId: "c", files: [file], loads: [load], ...more },
});

const archive = (...entries: object[]): object => ({
  ...file,
  settings: { archive: { kind: "KIND_ZIP", entries } },
});
const fieldWith = (options: object): object =>
  feed({ fields: [id, { incomingName: "x", type: integer, ...options }] });

/** Method, body, and the fields that the refusal has to name. */
const REFUSED: readonly (readonly [string, object, ...string[]])[] = [
  ["CredentialService/CreateCredential", {}, "credential"],
  ["CredentialService/CreateCredential", { credential: {} }, "credential.name", "credential.kind"],
  [
    "CredentialService/CreateCredential",
    credential({ iamRoleToRole: {} }),
    "credential.iam_role_to_role.target_role_arn",
    "credential.iam_role_to_role.bucket",
  ],
  [
    "CredentialService/CreateCredential",
    credential({ iamRoleToRole: { ...role, targetRoleArn: "arn:aws:iam::1:user/x" } }),
    "credential.iam_role_to_role.target_role_arn",
  ],
  ...[
    "evil.com/x",
    "..",
    "a/../b",
    "arn:aws:sqs:eu-west-1:1:q",
    "UPPER",
    "a",
    "ab",
    "a".repeat(64),
    "10.0.0.1",
    "xn--bucket",
    "-bucket",
    "bucket-",
    "a..b",
    "data--x-s3",
  ].map(
    (bucket) =>
      [
        "CredentialService/CreateCredential",
        credential({ iamRoleToRole: { ...role, bucket } }),
        "credential.iam_role_to_role.bucket",
      ] as const,
  ),
  [
    "CredentialService/CreateCredential",
    credential({ iamRoleToRole: { ...role, region: "evil.com/" } }),
    "credential.iam_role_to_role.region",
  ],
  [
    "CredentialService/CreateCredential",
    credential({ iamRoleToRole: { ...role, endpoint: "http://169.254.169.254" } }),
    "credential.iam_role_to_role.endpoint",
  ],
  [
    "CredentialService/CreateCredential",
    credential({ accessKey: { ...key, endpoint: "http://user@127.0.0.1:9000" } }),
    "credential.access_key.endpoint",
  ],
  [
    "CredentialService/CreateCredential",
    credential({ accessKey: { ...key, secretAccessKey: "" } }),
    "credential.access_key.secret_access_key",
  ],
  [
    "CredentialService/CreateCredential",
    credential({ accessKey: { ...key, bucket: "point-abc123-s3alias" } }),
    "credential.access_key.bucket",
  ],
  [
    "CredentialService/CreateCredential",
    credential({ pgp: {} }),
    "credential.pgp.private_key_block",
  ],
  [
    "CredentialService/CreateCredential",
    credential({ iamRoleToRole: role }, { name: "n".repeat(201) }),
    "credential.name",
  ],
  ["CredentialService/GetCredential", {}, "id"],
  ["CredentialService/ListCredentials", { pageSize: 1001 }, "page_size"],
  ["CredentialService/ListCredentials", { pageSize: -1 }, "page_size"],
  ["CredentialService/UpdateCredential", { updateMask: "name" }, "credential"],
  ["CredentialService/UpdateCredential", { credential: { id: "x" } }, "update_mask"],
  ["SourceService/CreateSource", { source: {} }, "source.name"],
  ["SourceService/CreateSource", { source: { name: "a/b" } }, "source.name"],
  ["SourceService/CreateSource", { source: { name: "system" } }, "source.name"],
  ["SourceService/BrowseObjects", { delimiter: "12345678901" }, "credential_id", "delimiter"],
  ["FeedService/CreateFeed", {}, "feed"],
  ["FeedService/CreateFeed", { feed: {} }, "feed.source", "feed.name", "feed.spec"],
  ["FeedService/CreateFeed", feed({}, { name: "orders__rows" }), "feed.name"],
  ["FeedService/CreateFeed", feed({ fields: [] }), "feed.spec.fields"],
  ["FeedService/CreateFeed", feed({ primaryKey: [] }), "feed.spec.primary_key"],
  ["FeedService/CreateFeed", feed({ primaryKey: ["nobody"] }), "feed.spec: primary_key"],
  [
    "FeedService/CreateFeed",
    feed({ fields: [{ ...id, include: false }] }),
    "feed.spec: primary_key",
  ],
  [
    "FeedService/CreateFeed",
    feed({ fields: [id, { ...id, name: "ID" }] }),
    "feed.spec.fields[1].name",
  ],
  [
    "FeedService/CreateFeed",
    feed({ fields: [id, { ...id, name: "_row" }] }),
    "feed.spec.fields[1].name",
  ],
  [
    "FeedService/CreateFeed",
    feed({ fields: [id, { incomingName: "a b", type: integer }] }),
    "feed.spec.fields[1].name",
  ],
  [
    "FeedService/CreateFeed",
    feed({ fields: [id, { incomingName: "x" }] }),
    "feed.spec.fields[1].type",
  ],
  [
    "FeedService/CreateFeed",
    feed({ fields: [id, { incomingName: "x", type: { decimal: { precision: 39 } } }] }),
    "feed.spec.fields[1].type.decimal.precision",
  ],
  [
    "FeedService/CreateFeed",
    feed({ fields: [id, { incomingName: "x", type: { decimal: { precision: 3, scale: 4 } } }] }),
    "feed.spec.fields[1].type.decimal.scale",
  ],
  ["FeedService/CreateFeed", fieldWith({ path: "a[b]" }), "feed.spec.fields[1].path"],
  [
    "FeedService/CreateFeed",
    fieldWith({ timeZone: "Europe/Köln" }),
    "feed.spec.fields[1].time_zone",
  ],
  ["FeedService/CreateFeed", fieldWith({ timeZone: "Mars/Base" }), "feed.spec.fields[1].time_zone"],
  [
    "FeedService/CreateFeed",
    fieldWith({ thousandsSeparator: "." }),
    "feed.spec.fields[1].thousands_separator",
  ],
  [
    "FeedService/CreateFeed",
    fieldWith({ trueWords: ["Ja"], falseWords: ["ja"] }),
    "feed.spec.fields[1].false_words",
  ],
  ["FeedService/CreateFeed", feed({ lastUpdatedField: "nobody" }), "feed.spec.last_updated_field"],
  [
    "FeedService/CreateFeed",
    feed({ fields: [id, { incomingName: "x", type: { string: {} } }], lastUpdatedField: "x" }),
    "feed.spec.last_updated_field",
  ],
  [
    "FeedService/CreateFeed",
    feed({ errorThresholdPercent: 101 }),
    "feed.spec.error_threshold_percent",
  ],
  ["CourierService/CreateCourier", {}, "courier"],
  [
    "CourierService/CreateCourier",
    { courier: {} },
    "courier.name",
    "courier.credential_id",
    "courier.files",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, settings: undefined }] }),
    "courier.files[0].settings",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, settings: {} }] }),
    "courier.files[0].settings",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, settings: { archive: { kind: "KIND_ZIP" } } }] }),
    "courier.files[0].settings",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [archive({ tag: "u", name: "a.csv", settings: {} })] }),
    "courier.files[0].settings.archive.entries[0].settings",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [archive({ tag: "t", name: "a.csv", settings: { avro: {} } })] }),
    "courier.files[0].settings.archive.entries[0].tag",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [archive({ tag: "u", pattern: "'open", settings: { avro: {} } })] }),
    "courier.files[0].settings.archive.entries[0].pattern",
  ],
  [
    "CourierService/CreateCourier",
    courier({
      files: [
        archive({
          tag: "u",
          name: "a",
          settings: { avro: {}, pgp: { credentialId: "none" } },
        }),
      ],
    }),
    "courier.files[0].settings.archive.entries[0].settings.pgp.credential_id",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, settings: { json: { recordPath: "a..b" } } }] }),
    "courier.files[0].settings.json.record_path",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, settings: { xml: { explodePath: "[x]" } } }] }),
    "courier.files[0].settings.xml.explode_path",
  ],
  ["CourierService/CreateCourier", courier({ files: [file, file] }), "courier.files[1].tag"],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, key: undefined }] }),
    "courier.files[0].selection",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, key: undefined, pattern: "'open" }] }),
    "courier.files[0].pattern",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, key: undefined, pattern: "orders" }] }),
    "courier.files[0].pattern",
  ],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, settings: { delimited: { quote: "," } } }] }),
    "courier.files[0].settings.delimited.quote",
  ],
  ...[{ recordDelimiter: "\\n" }, { comment: "\\" }].map((marks): [string, object, ...string[]] => [
    "CourierService/CreateCourier",
    courier({
      files: [{ ...file, settings: { delimited: { quote: "", escape: "\\", ...marks } } }],
    }),
    "courier.files[0].settings.delimited.escape",
  ]),
  ...[
    { recordDelimiter: "," },
    { recordDelimiter: '~"' },
    { recordDelimiter: "|\n", delimiter: "|" },
    { recordDelimiter: "~", delimiter: "|~|" },
    { comment: ",#" },
    { comment: '"#' },
    { comment: "#\n" },
    { comment: "#~", recordDelimiter: "~" },
  ].map((delimited): [string, object, ...string[]] => [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, settings: { delimited } }] }),
    "courier.files[0].settings.delimited",
  ]),
  ...[{ recordDelimiter: "" }, { recordDelimiter: "~".repeat(17) }].map(
    (delimited): [string, object, ...string[]] => [
      "CourierService/CreateCourier",
      courier({ files: [{ ...file, settings: { delimited } }] }),
      "courier.files[0].settings.delimited.record_delimiter",
    ],
  ),
  ["CourierService/CreateCourier", courier({ prefix: "p".repeat(1024) }), "courier.files[0].key"],
  [
    "CourierService/CreateCourier",
    courier({ loads: [{ ...load, fileTag: "u" }] }),
    "courier.loads[0].file_tag",
  ],
  [
    "CourierService/CreateCourier",
    courier({ loads: [load, { ...load, operation: "LOAD_OPERATION_TRUNCATE_AND_LOAD" }] }),
    "courier.loads[1].operation",
  ],
  [
    "CourierService/CreateCourier",
    courier({ loads: [{ ...load, operation: undefined }] }),
    "courier.loads[0].operation",
  ],
  ["CourierService/CreateCourier", courier(), "courier.credential_id", "courier.loads[0].feed_id"],
  [
    "CourierService/CreateCourier",
    courier({ files: [{ ...file, settings: { parquet: {}, pgp: { credentialId: "none" } } }] }),
    "courier.files[0].settings.pgp.credential_id",
  ],
  ["CourierService/RunCourier", { id: "x" }, "scope"],
  ["CourierService/RunCourier", { id: "x", date: "yesterday" }, "date"],
  ["DomainTableService/SampleRows", { feedId: "f", maxRows: 1001 }, "max_rows"],
  ["DomainTableService/ListRejects", {}, "feed_id"],
  ["DomainTableService/ReplayRejects", {}, "feed_id"],
  ["DomainTableService/SummarizeRejects", {}, "feed_id"],
  ["WorkflowService/GetWorkflow", {}, "id"],
];

const ACCEPTED_BUCKETS = [
  "acme-data",
  "a.b.c",
  "123",
  "my-point-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias",
  "arn:aws:s3:us-west-2:123456789012:accesspoint/finance",
];

const [pglite] = DATABASES;
let database: TestDatabase;
let control: ControlUnderTest;

beforeAll(async () => {
  if (pglite === undefined) {
    throw new Error("there is no database to test on");
  }
  database = await pglite.create();
  control = await startControlUnderTest(database, {
    SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1:9000",
  });
}, 120_000);
afterAll(async () => {
  await control?.close();
  await database?.remove();
});

describe("a refusal names the field", () => {
  test.each(REFUSED.map((row, index) => [index, ...row] as const))(
    "%i: %s %j",
    async (_index, method, body, ...fields) => {
      const { status, body: answer } = await control.post(method, body);
      expect(answer.code).toBe("invalid_argument");
      expect(status).toBe(400);
      for (const field of fields) {
        expect(answer.message).toContain(field.includes(":") ? field : `${field}: `);
      }
    },
  );

  test("programs find the same fields in the details", async () => {
    const { body } = await control.post("CredentialService/CreateCredential", credential({}));
    const [detail] = body.details;
    expect(detail.type).toBe("buf.validate.Violations");
    const elements = detail.debug.violations[0].field.elements;
    expect(elements.map((element: { fieldName: string }) => element.fieldName)).toEqual([
      "credential",
      "kind",
    ]);
  });

  test("a bucket's name and an endpoint come with the failure of the stage that would meet them", async () => {
    for (const [change, code] of [
      [{ bucket: "Not-A-Bucket" }, "invalid_bucket_name"],
      [{ endpoint: "http://10.0.0.1" }, "endpoint_refused"],
    ] as const) {
      const request = credential({ iamRoleToRole: { ...role, ...change } });
      const { body } = await control.post("CredentialService/CreateCredential", request);
      expect(body.details[1]).toMatchObject({
        type: "sluice.control.v1.StageFailure",
        debug: { stage: "STAGE_CONNECT", code },
      });
      expect(body.details[1].debug.advice).not.toBe("");
    }
  });

  test("many wrong fields are counted, not listed", async () => {
    const fields = Array.from({ length: 50 }, (_, index) => ({ incomingName: `f${index}` }));
    const { body } = await control.post(
      "FeedService/CreateFeed",
      feed({ fields: [id, ...fields] }),
    );
    expect(body.message).toMatch(/and 45 more$/);
    expect(body.details[0].debug.violations).toHaveLength(50);
  });
});

test.each(ACCEPTED_BUCKETS)("takes %s as a bucket", async (bucket) => {
  const request = credential({ iamRoleToRole: { ...role, bucket } }, { name: bucket.slice(0, 60) });
  const { status } = await control.post("CredentialService/CreateCredential", request);
  expect(status).toBe(200);
});

test("takes an endpoint that the operator allows", async () => {
  const request = credential({ accessKey: { ...key, endpoint: "http://127.0.0.1:9000/" } });
  const { status } = await control.post("CredentialService/CreateCredential", request);
  expect(status).toBe(200);
});
