import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { type ClickHouseClient, createClient as createClickHouse } from "@clickhouse/client";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type FeedLoadSchema, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { CourierService } from "@sluice/api/control/v1/courier_service_pb";
import { CredentialService } from "@sluice/api/control/v1/credential_service_pb";
import { CustomDomainTableService } from "@sluice/api/control/v1/custom_domain_table_service_pb";
import { DomainTableService } from "@sluice/api/control/v1/domain_table_service_pb";
import type { FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import { FeedService } from "@sluice/api/control/v1/feed_service_pb";
import type { FileSettingsSchema } from "@sluice/api/control/v1/file_settings_pb";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import type { Workflow } from "@sluice/api/control/v1/workflow_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import {
  type Customer,
  createCustomer,
  type Local,
  type LocalOptions,
  startLocal,
  withKey,
} from "@sluice/local";

export type FeedSpec = MessageInitShape<typeof FeedSpecSchema>;
/** As a literal: parts of several can be joined. */
export type FileSettings = Exclude<MessageInitShape<typeof FileSettingsSchema>, Message>;

/** What a story acts with: the whole product on real servers, its public API, and a customer. */
export interface Story extends AsyncDisposable {
  readonly local: Local;
  /** gRPC with an admin's key. */
  readonly transport: Transport;
  readonly customer: Customer;
  /** A credential that opens the customer's bucket. */
  readonly credentialId: string;
  readonly credentials: Client<typeof CredentialService>;
  readonly sources: Client<typeof SourceService>;
  readonly feeds: Client<typeof FeedService>;
  readonly couriers: Client<typeof CourierService>;
  readonly workflows: Client<typeof WorkflowService>;
  readonly tables: Client<typeof DomainTableService>;
  readonly customTables: Client<typeof CustomDomainTableService>;
  /** ClickHouse behind the product, with all rights: to look, and to break things. */
  readonly clickhouse: ClickHouseClient;
  /** Makes and activates a feed, and gives its id. */
  feed(source: string, name: string, spec: FeedSpec): Promise<string>;
  /** Makes a courier of one file and one feed, and gives its id. */
  courier(options: CourierOptions): Promise<string>;
  /** Runs a courier for a day and waits for its end. */
  run(courierId: string, date?: string): Promise<Workflow>;
  /** The rows of a query. */
  rows<T>(query: string): Promise<T[]>;
}

export interface CourierOptions {
  readonly feedId: string;
  readonly key?: string;
  readonly pattern?: string;
  readonly settings?: FileSettings;
  readonly operation?: LoadOperation;
  readonly credentialId?: string;
  readonly optional?: boolean;
}

export const DAY = "2026-11-20";
export const CSV: FileSettings = {
  format: { case: "delimited", value: {} },
};
export const PARQUET: FileSettings = {
  format: { case: "parquet", value: {} },
};
export const STRING = { type: { case: "string", value: {} } } as const;
export const INTEGER = { type: { case: "integer", value: {} } } as const;

export async function startStory(options: Omit<LocalOptions, "dataDir"> = {}): Promise<Story> {
  await using started = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-e2e-"));
  started.defer(async () => await rm(dataDir, { recursive: true, force: true }));
  const local = started.use(await startLocal({ dataDir, ...options }));
  if (local.clickhouse === undefined) throw new Error("a story looks into the embedded ClickHouse");
  const { url, users } = local.clickhouse;
  const clickhouse = createClickHouse({
    url,
    username: users.admin.name,
    password: users.admin.password,
    clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
  });
  started.defer(async () => await clickhouse.close());

  const transport = createGrpcTransport({
    baseUrl: local.url,
    interceptors: [withKey(local.adminKey)],
  });
  const credentials = createClient(CredentialService, transport);
  const feeds = createClient(FeedService, transport);
  const couriers = createClient(CourierService, transport);
  const workflows = createClient(WorkflowService, transport);
  const identity = await credentials.getPlatformIdentity({});
  const customer = await createCustomer(local.aws, {
    bucket: "acme-exports",
    roleName: "sluice-reader",
    ...identity,
  });
  const { credential } = await credentials.createCredential({
    credential: {
      name: "Acme",
      kind: {
        case: "iamRoleToRole",
        value: { targetRoleArn: customer.roleArn, bucket: customer.bucket },
      },
    },
  });
  const credentialId = credential?.id ?? "";
  let couriersMade = 0;

  const running = started.move();
  return {
    local,
    transport,
    customer,
    credentialId,
    credentials,
    sources: createClient(SourceService, transport),
    feeds,
    couriers,
    workflows,
    tables: createClient(DomainTableService, transport),
    customTables: createClient(CustomDomainTableService, transport),
    clickhouse,
    async feed(source, name, spec) {
      const { feed } = await feeds.createFeed({ feed: { source, name, spec } });
      const id = feed?.id ?? "";
      await feeds.activateFeed({ id });
      return id;
    },
    async courier({ feedId, key, pattern, settings = CSV, operation, ...rest }) {
      const load: MessageInitShape<typeof FeedLoadSchema> = {
        feed: { case: "feedId", value: feedId },
        fileTag: "file",
        operation: operation ?? LoadOperation.LOAD,
      };
      const { courier } = await couriers.createCourier({
        courier: {
          name: `courier ${++couriersMade}`,
          credentialId: rest.credentialId ?? credentialId,
          files: [
            {
              tag: "file",
              selection:
                key === undefined
                  ? { case: "pattern", value: pattern ?? "" }
                  : { case: "key", value: key },
              settings,
              optional: rest.optional ?? false,
            },
          ],
          loads: [load],
        },
      });
      return courier?.id ?? "";
    },
    async run(id, date = DAY) {
      const { workflowId } = await couriers.runCourier({
        id,
        scope: { case: "date", value: date },
      });
      for await (const _ of workflows.watchWorkflow({ id: workflowId }));
      const { workflow } = await workflows.getWorkflow({ id: workflowId });
      if (workflow === undefined) throw new Error("the workflow is gone");
      return workflow;
    },
    async rows<T>(query: string) {
      const result = await clickhouse.query({ query, format: "JSONEachRow" });
      return await result.json<T>();
    },
    [Symbol.asyncDispose]: async () => await running.disposeAsync(),
  };
}
