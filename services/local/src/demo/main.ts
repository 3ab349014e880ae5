import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { DescEnum } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { CourierService } from "@sluice/api/control/v1/courier_service_pb";
import { CredentialService } from "@sluice/api/control/v1/credential_service_pb";
import { DomainTableService } from "@sluice/api/control/v1/domain_table_service_pb";
import { RetrySchema, StageSchema } from "@sluice/api/control/v1/failure_pb";
import { FeedService } from "@sluice/api/control/v1/feed_service_pb";
import { Compression } from "@sluice/api/control/v1/file_settings_pb";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import { type Workflow, Workflow_StateSchema } from "@sluice/api/control/v1/workflow_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import { readConfig } from "../config.ts";
import { createCustomer } from "../customer.ts";
import { startLocal } from "../local.ts";
import { withKey } from "../with-key.ts";
import { ask, askRow, type ClickHouseUser } from "./clickhouse-query.ts";
import {
  BROKEN_CUSTOMERS,
  CUSTOMER_ROWS,
  createKeyPair,
  customersCsv,
  gzipAndEncrypt,
  ORDER_ROWS,
  ORDERS_DIGEST,
  ORDERS_QUERY,
} from "./data.ts";
import { createNarrator } from "./narrator.ts";
import { watchMemory } from "./peak-memory.ts";

/**
 * The main job, from an empty machine to two domain tables, told step by step. What is done to Sluice is
 * done through its public API; what is claimed is checked by asking ClickHouse.
 */

const MIB = 1024 * 1024;
const narrator = createNarrator(process.stdout);
const { step, say, check } = narrator;
const dataDir = join(readConfig().dataDir, "demo");

step("Start ClickHouse, S3 and STS, control and ingest on this machine");
await rm(dataDir, { recursive: true, force: true });
await using local = await startLocal({ dataDir });
if (local.clickhouse === undefined) throw new Error("the demo brings its own ClickHouse");
const { url: clickhouseUrl, users } = local.clickhouse;
const reader: ClickHouseUser = { url: clickhouseUrl, ...users.reader };
const admin: ClickHouseUser = { url: clickhouseUrl, ...users.admin };
say(`control ${local.url}   ClickHouse ${clickhouseUrl}   S3 and STS ${local.aws.url}`);

const transport = createGrpcTransport({
  baseUrl: local.url,
  interceptors: [withKey(local.adminKey)],
});
const credentials = createClient(CredentialService, transport);
const sources = createClient(SourceService, transport);
const feeds = createClient(FeedService, transport);
const couriers = createClient(CourierService, transport);
const workflows = createClient(WorkflowService, transport);
const tables = createClient(DomainTableService, transport);

step("The customer makes a bucket, and a role that demands our external id");
const identity = await credentials.getPlatformIdentity({});
const customer = await createCustomer(local.aws, {
  bucket: "acme-exports",
  roleName: "sluice-reader",
  ...identity,
});
say(`platform role ${identity.platformRoleArn}`);
say(`customer role ${customer.roleArn}, external id ${identity.externalId}`);

step("The customer puts two files there");
const keys = await createKeyPair("Acme exports");
const customersFile = await gzipAndEncrypt(customersCsv(), keys.publicKey);
await customer.put("2026/11/20/customers.csv.gz.pgp", customersFile);
const parquet = await ask(admin, `${ORDERS_QUERY} FORMAT Parquet`, {
  output_format_parquet_row_group_size: "100000",
});
const ordersFile = new Uint8Array(await parquet.arrayBuffer());
await customer.put("2026/11/20/orders.parquet", ordersFile);
say(`customers.csv.gz.pgp: ${CUSTOMER_ROWS} rows, ${BROKEN_CUSTOMERS} of them with a broken date`);
say(`orders.parquet: ${ORDER_ROWS} rows, ${Math.round(ordersFile.byteLength / MIB)} MiB`);

step("Create the credentials and test the connection");
const s3 = await credentials.createCredential({
  credential: {
    name: "Acme S3",
    kind: {
      case: "iamRoleToRole",
      value: { targetRoleArn: customer.roleArn, bucket: customer.bucket },
    },
  },
  requestId: "demo-s3",
});
const s3Id = s3.credential?.id ?? "";
const tested = await credentials.testCredential({ id: s3Id });
check("connection test", tested.status?.summary ?? "", "Connection successful");
const createPgp = async (name: string, pair: typeof keys): Promise<string> => {
  const { credential } = await credentials.createCredential({
    credential: {
      name,
      kind: {
        case: "pgp",
        value: { privateKeyBlock: pair.privateKey, passphrase: pair.passphrase },
      },
    },
  });
  return credential?.id ?? "";
};
const pgpId = await createPgp("Acme PGP", keys);

step("Browse the bucket");
const browsed = await sources.browseObjects({ credentialId: s3Id, prefix: "2026/11/20/" });
for (const { key, size } of browsed.objects) say(`${key}  ${size} bytes`);
check("objects seen", browsed.objects.length, 2);

step("Create and activate two feeds");
const string = { type: { case: "string", value: {} } } as const;
const integer = { type: { case: "integer", value: {} } } as const;
const boolean = { type: { case: "boolean", value: {} } } as const;
const customerFeed = await feeds.createFeed({
  feed: {
    source: "acme",
    name: "customers",
    spec: {
      fields: [
        { incomingName: "id", type: integer, require: true },
        { incomingName: "given_name", type: string, semanticTags: ["given-name"] },
        { incomingName: "surname", type: string, semanticTags: ["surname"] },
        { incomingName: "email", type: string, semanticTags: ["email"] },
        { incomingName: "birthdate", type: { type: { case: "date", value: {} } } },
        { incomingName: "loyalty_points", type: integer },
        { incomingName: "newsletter", type: boolean },
      ],
      primaryKey: ["id"],
      makeAvailableToStitch: true,
    },
  },
});
const orderFeed = await feeds.createFeed({
  feed: {
    source: "acme",
    name: "orders",
    spec: {
      fields: [
        { incomingName: "order_id", type: integer, require: true },
        { incomingName: "customer_id", type: integer },
        { incomingName: "ordered_at", type: { type: { case: "datetime", value: {} } } },
        {
          incomingName: "amount",
          type: { type: { case: "decimal", value: { precision: 12, scale: 2 } } },
        },
        { incomingName: "currency", type: string },
        { incomingName: "paid", type: boolean },
      ],
      primaryKey: ["order_id"],
      lastUpdated: { case: "lastUpdatedField", value: "ordered_at" },
    },
  },
});
const customerFeedId = customerFeed.feed?.id ?? "";
const orderFeedId = orderFeed.feed?.id ?? "";
for (const id of [customerFeedId, orderFeedId]) {
  const { feed } = await feeds.activateFeed({ id });
  say(`${feed?.source}.${feed?.name} version ${feed?.version} is active`);
}

step("Create two couriers");
const customersCourier = async (name: string, pgpCredentialId: string): Promise<string> => {
  const { courier } = await couriers.createCourier({
    courier: {
      name,
      credentialId: s3Id,
      files: [
        {
          tag: "customers",
          selection: { case: "pattern", value: "yyyy'/'MM'/'dd'/customers.csv.gz.pgp'" },
          settings: {
            encryption: { case: "pgp", value: { credentialId: pgpCredentialId } },
            compression: Compression.GZIP,
            format: { case: "delimited", value: {} },
          },
        },
      ],
      loads: [
        {
          feed: { case: "feedId", value: customerFeedId },
          fileTag: "customers",
          operation: LoadOperation.LOAD,
        },
      ],
    },
  });
  return courier?.id ?? "";
};
const customersId = await customersCourier("Acme customers", pgpId);
const orders = await couriers.createCourier({
  courier: {
    name: "Acme orders",
    credentialId: s3Id,
    files: [
      {
        tag: "orders",
        selection: { case: "pattern", value: "yyyy'/'MM'/'dd'/orders*.parquet'" },
        settings: { format: { case: "parquet", value: {} } },
      },
    ],
    loads: [
      {
        feed: { case: "feedId", value: orderFeedId },
        fileTag: "orders",
        operation: LoadOperation.LOAD,
      },
    ],
  },
});
const ordersId = orders.courier?.id ?? "";
say("by day, from file names like 2026/11/20/customers.csv.gz.pgp");

const run = async (
  courierId: string,
  requestId: string,
  reloadUnchanged = false,
): Promise<Workflow | undefined> => {
  const { workflowId } = await couriers.runCourier({
    id: courierId,
    reloadUnchanged,
    scope: { case: "date", value: "2026-11-20" },
    requestId,
  });
  let last: Workflow | undefined;
  for await (const { workflow } of workflows.watchWorkflow({ id: workflowId })) {
    last = workflow;
    const { totals } = workflow ?? {};
    if (workflow === undefined || totals === undefined) continue;
    const share =
      Number(totals.bytesTotal) > 0 ? Number(totals.bytesRead) / Number(totals.bytesTotal) : 0;
    narrator.live(
      `${workflow.courierName}: ${nameOf(Workflow_StateSchema, workflow.state).toLowerCase()}, ${Math.round(share * 100)} %, ` +
        `${totals.rows} rows, ${Math.round(totals.rowsPerSecond)} rows/s`,
    );
  }
  const { workflow } = await workflows.getWorkflow({ id: workflowId });
  last = workflow ?? last;
  const loads = last?.tasks.filter(({ route }) => route !== "") ?? [];
  for (const { key, route, progress } of loads) {
    const rate = Math.round(progress?.rowsPerSecond ?? 0).toLocaleString("en");
    say(`${key}: ${progress?.rows} rows by ${route}, ${rate} rows/s`);
  }
  return last;
};
const nameOf = (schema: DescEnum, value: number): string => schema.value[value]?.localName ?? "";
const stateOf = (workflow: Workflow | undefined): string =>
  nameOf(Workflow_StateSchema, workflow?.state ?? 0);
const ordersDigest = async (user: ClickHouseUser, from: string): Promise<string> => {
  const { rows, digest } = await askRow<{ rows: number; digest: string }>(
    user,
    `SELECT ${ORDERS_DIGEST} FROM ${from}`,
  );
  return `${rows} rows, digest ${digest}`;
};
const customersThere = async (): Promise<number> =>
  (await askRow<{ n: number }>(reader, "SELECT count() AS n FROM acme.customers")).n;
const memory = watchMemory(() => local.ingest.pid);

step("Run both couriers for 2026-11-20, and watch");
check("customers workflow", stateOf(await run(customersId, "demo-1")), "SUCCEEDED");
check("customers in the domain table", await customersThere(), CUSTOMER_ROWS - BROKEN_CUSTOMERS);
const rejects = await askRow<{ n: number }>(
  reader,
  "SELECT count() AS n FROM acme.customers__rejects",
);
check("customers rejected, each with its place", rejects.n, BROKEN_CUSTOMERS);
check("orders workflow", stateOf(await run(ordersId, "demo-2")), "SUCCEEDED");
const expected = await ordersDigest(admin, `(${ORDERS_QUERY})`);
check("orders in the domain table", await ordersDigest(reader, "acme.orders"), expected);

step("Look at the domain tables");
for (const feedId of [customerFeedId, orderFeedId]) {
  const { rows } = await tables.sampleRows({ feedId, maxRows: 3 });
  narrator.table(
    rows.map(({ values }) =>
      Object.fromEntries(Object.entries(values ?? {}).filter(([name]) => !name.startsWith("_"))),
    ),
  );
}
const { rejects: refused } = await tables.listRejects({ feedId: customerFeedId, pageSize: 1 });
for (const { key, row, field, value, code } of refused) {
  say(`first reject: ${key} row ${row}: ${field} = "${value}" (${code})`);
}

step(
  "Run the same load again: what is unchanged is passed over; loaded all the same, nothing is twice",
);
check("orders workflow", stateOf(await run(ordersId, "demo-3")), "SKIPPED");
check("orders workflow", stateOf(await run(ordersId, "demo-3-again", true)), "SUCCEEDED");
check("orders in the domain table", await ordersDigest(reader, "acme.orders"), expected);

step("Run a courier that has the wrong PGP key");
const wrongKeys = await createKeyPair("Somebody else");
const wrongId = await customersCourier("Wrong key", await createPgp("Wrong PGP", wrongKeys));
const wrong = await run(wrongId, "demo-4");
check("workflow", stateOf(wrong), "FAILED");
const { failure } = wrong ?? {};
check("stage", nameOf(StageSchema, failure?.stage ?? 0).toLowerCase(), "decrypt");
check("code", failure?.code ?? "", "no_matching_key");
check("retry", nameOf(RetrySchema, failure?.retry ?? 0).toLowerCase(), "after_change");
say(`what happened: ${failure?.message}`);
say(`where: ${failure?.coordinate?.bucket}/${failure?.coordinate?.key}`);
say(`what to do: ${failure?.advice}`);
check("customers in the domain table", await customersThere(), CUSTOMER_ROWS - BROKEN_CUSTOMERS);

say("");
say(`peak memory of ingest: ${Math.round(memory.stop() / MIB)} MiB`);
say(`${narrator.checks} figures checked, ${narrator.failed} wrong`);
process.exitCode = narrator.failed === 0 && narrator.checks > 0 ? 0 : 1;
