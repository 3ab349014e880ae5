import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import {
  type ImportLegacyCourierRequestSchema,
  LegacyFinding_Severity,
  LegacyFindingsSchema,
} from "@sluice/api/control/v1/legacy_import_pb";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { zip } from "./layers.ts";
import { DAY, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

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

/** The entities list of the documentation, as it is. */
const ENTITIES = `[{ "object/type": "file",
   "object/optional": false,
   "object/file-pattern": "'CUSTOMER/ENVIRONMENT/FILENAME_'MM-dd-yyyy'.csv'",
   "object/land-as": { "file/tag": "FILE_NAME", "file/content-type": "text/csv",
                       "file/header-rows": 1, "file/separator": ",", "file/quote": "\\"" } },
 { "object/type": "archive",
   "object/file-pattern": "'PATH/ARCHIVE_'yyyy-MM-dd'.zip'",
   "archive/contents": { "a.csv": { "subobject/land-as": { "file/tag": "a", "file/content-type": "text/csv" } },
                         "dir/files_*.csv": { "subobject/land-as": { } } },
   "archive/skip-missing-contents": true }]`;

type Request = Omit<
  MessageInitShape<typeof ImportLegacyCourierRequestSchema>,
  "$typeName" | "name" | "credentialId"
>;

let made = 0;

function request(rest: Request): MessageInitShape<typeof ImportLegacyCourierRequestSchema> {
  return { name: `Legacy ${++made}`, credentialId: story.credentialId, ...rest };
}

test("the documented entities list imports as it is, truncate first wherever it stands, and the courier runs (SC-6, b2, b3, WF-17)", async () => {
  const [people, inside] = [
    await story.feed("legacy", "people", NAMES),
    await story.feed("legacy", "inside", NAMES),
  ];
  const loadOperationsJson = JSON.stringify({
    FEED_ID: [{ type: "load", file: "FILE_NAME" }, { type: "truncate" }],
    FEED_ID_2: [{ type: "load", file: "a" }],
  });
  const { courier, report } = await story.couriers.importLegacyCourier(
    request({
      entitiesJson: ENTITIES,
      loadOperationsJson,
      feedIds: { FEED_ID: people, FEED_ID_2: inside },
      bucket: story.customer.bucket,
      requestId: "import",
    }),
  );
  expect(report?.findings.map(({ code, document, pointer }) => [code, document, pointer])).toEqual([
    ["tag_missing", "entities_json", "/1/archive~1contents/dir~1files_*.csv/subobject~1land-as"],
    [
      "content_type_missing",
      "entities_json",
      "/1/archive~1contents/dir~1files_*.csv/subobject~1land-as",
    ],
    ["contents_optional", "entities_json", "/1/archive~1skip-missing-contents"],
    ["truncate_first", "load_operations_json", "/FEED_ID/1"],
  ]);
  expect(courier?.loads.map(({ operation }) => operation)).toEqual([
    LoadOperation.TRUNCATE_AND_LOAD,
    LoadOperation.LOAD,
  ]);

  await story.customer.put("CUSTOMER/ENVIRONMENT/FILENAME_11-20-2026.csv", "id,name\n1,One\n");
  // Without dir/files_*.csv: missing contents are skipped.
  await story.customer.put(
    `PATH/ARCHIVE_${DAY}.zip`,
    zip([
      ["a.csv", Buffer.from("id,name\n2,Two\n")],
      ["other.csv", Buffer.from("x\n")],
    ]),
  );
  expect((await story.run(courier?.id ?? "")).state).toBe(Workflow_State.SUCCEEDED);
  expect(await story.rows("SELECT id, name FROM legacy.people")).toEqual([{ id: 1, name: "One" }]);
  expect(await story.rows("SELECT id, name FROM legacy.inside")).toEqual([{ id: 2, name: "Two" }]);
});

test("the documented ingest query imports with its SQL given in ClickHouse's words, and runs (b3)", async () => {
  const [plain, queried] = [
    await story.feed("legacy", "plain", NAMES),
    await story.feed("legacy", "queried", NAMES),
  ];
  const entitiesJson = JSON.stringify([
    {
      "object/type": "file",
      "object/file-pattern": "'legacy/orders_'yyyyMMdd'.csv'",
      "object/land-as": { "file/tag": "FILE_TAG", "file/content-type": "text/csv" },
    },
  ]);
  const loadOperationsJson = `{ "FEED_ID":   [ {"type":"truncate"}, {"type":"load","file":"FILE_TAG"} ],
  "FEED_ID_2": [ {"type":"spark-sql",
     "spark-sql-files":[{"file":"FILE_TAG",
        "options":{"delimiter":",","escape":"\\\\","multiline":"true","quote":"\\"","rowTag":"row"},
        "schema":{"type":"struct","fields":[{"name":"f","type":"string","nullable":true,"metadata":{}}]}}],
     "spark-sql-query":"INGEST_QUERY_NAME"} ] }`;
  const { courier, report } = await story.couriers.importLegacyCourier(
    request({
      entitiesJson,
      loadOperationsJson,
      feedIds: { FEED_ID: plain, FEED_ID_2: queried },
      ingestQueries: {
        INGEST_QUERY_NAME: "SELECT id, upper(name) AS name FROM FILE_TAG WHERE id <> '2'",
      },
    }),
  );
  expect(report?.findings.map(({ code }) => code)).toEqual(["option_useless", "schema_left_out"]);
  expect(courier?.loads[1]?.ingestQuery?.fileTags).toEqual(["FILE_TAG"]);
  expect(courier?.files[0]?.settings?.format.value).toMatchObject({ escape: "\\" });

  await story.customer.put("legacy/orders_20261120.csv", "id,name\n1,One\n2,Two\n3,Three\n");
  expect((await story.run(courier?.id ?? "")).state).toBe(Workflow_State.SUCCEEDED);
  expect(await story.rows("SELECT count() AS n FROM legacy.plain")).toEqual([{ n: 3 }]);
  expect(await story.rows("SELECT id, name FROM legacy.queried ORDER BY id")).toEqual([
    { id: 1, name: "ONE" },
    { id: 3, name: "THREE" },
  ]);
});

test("{} imports a courier that loads nothing, and a made-up feed id is explained (b3)", async () => {
  const none = await story.couriers.importLegacyCourier(
    request({ entitiesJson: ENTITIES, loadOperationsJson: "{}" }),
  );
  expect(none.courier?.loads).toEqual([]);
  const { courier, report } = await story.couriers.importLegacyCourier(
    request({
      entitiesJson: ENTITIES,
      loadOperationsJson: '{"df-xxxxxx": [{"type": "load", "file": "a"}]}',
    }),
  );
  expect(courier?.loads).toEqual([]);
  const finding = report?.findings.find(({ code }) => code === "feed_made_up");
  expect(finding?.message).toContain("Cannot find required feeds");
});

test("a linter tells every problem with its place and what to write instead, and nothing is made (b2)", async () => {
  const broken = request({
    entitiesJson: `[
  { "object/type": "file", "object/file-pattern": "'x_'yyyy-MM-dd'.bin'",
    "object/land-as": { "file/tag": "x", "file/content-type": "application/ingest-pack+cbor" } },
  { "object/type": "file", "object/file-pattern": "'y'.csv", "object/landas": {} }
]`,
    loadOperationsJson: '{"df-1": [{"type": "merge", "file": "x"}]}',
  });
  const error = ConnectError.from(
    await story.couriers.importLegacyCourier(broken).catch((thrown: unknown) => thrown),
  );
  expect(error.code).toBe(Code.InvalidArgument);
  expect(error.rawMessage).toContain(
    "entities_json /0/object~1land-as/file~1content-type (line 3, character 63): application/ingest-pack+cbor is not read",
  );
  const [inDetails] = error.findDetails(LegacyFindingsSchema);
  const { courier, report } = await story.couriers.importLegacyCourier({
    ...broken,
    validateOnly: true,
  });
  expect(courier).toBeUndefined();
  expect(inDetails?.findings).toEqual(report?.findings);
  expect(report?.findings.map(({ severity, code, line }) => [severity, code, line])).toEqual([
    [LegacyFinding_Severity.ERROR, "content_type_refused", 3],
    [LegacyFinding_Severity.ERROR, "pattern_invalid", 4],
    [LegacyFinding_Severity.WARNING, "member_unknown", 4],
    [LegacyFinding_Severity.ERROR, "feed_unknown", 1],
  ]);
  const { couriers } = await story.couriers.listCouriers({ pageSize: 1000 });
  expect(couriers.map(({ name }) => name)).not.toContain(broken.name);
});

test("validating makes nothing and shows the courier as it would be (SC-6)", async () => {
  const feedId = await story.feed("legacy", "validated", NAMES);
  const { courier } = await story.couriers.importLegacyCourier(
    request({
      entitiesJson: ENTITIES,
      loadOperationsJson: '{"F": [{"type": "load", "file": "a"}]}',
      feedIds: { F: feedId },
      validateOnly: true,
    }),
  );
  expect(courier).toMatchObject({
    id: "",
    loads: [{ feed: { case: "feedId", value: feedId }, fileTag: "a" }],
  });
  expect((await story.couriers.listCouriers({ feedId })).couriers).toEqual([]);
});
