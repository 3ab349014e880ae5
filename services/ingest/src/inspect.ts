import type { JsonObject } from "@bufbuild/protobuf";
import {
  ConnectionCheck_Name,
  ConnectionCheck_Outcome,
} from "@sluice/api/control/v1/credential_pb";
import type { InspectService } from "@sluice/api/ingest/v1/inspect_service_pb";
import type { CustomTableChange } from "@sluice/api/ingest/v1/table_change_pb";
import type { Connection, FeedVersion } from "@sluice/api/ingest/v1/task_pb";
import { inspectPrivateKeys, inspectSignerKeys, readRecipients } from "@sluice/decrypt";
import { StageError } from "@sluice/errors";
import type { ConnectionCheck, ObjectHead } from "@sluice/fetch";
import {
  type CustomQuery,
  checkCustomQuery,
  checkQuery,
  countRejects,
  countRows,
  describeDomainTable,
  dropCustomTable,
  findKeys,
  listRejects,
  prepareStitchView,
  readDeleteEffect,
  readTableBytes,
  sampleRows,
  summarizeRejects,
  type Warehouse,
} from "@sluice/load";
import { backtestPattern } from "./backtest.ts";
import { toDeleteRule } from "./change-table.ts";
import type { IngestConfig } from "./config.ts";
import { toFeed } from "./from-proto.ts";
import type { UnaryHandlers } from "./grpc-server.ts";
import { findForPlan } from "./list-objects.ts";
import type { LoadThreadPool } from "./load-thread-pool.ts";
import { toConnection } from "./load-work.ts";
import { openSource, uploadsOf } from "./open-source.ts";
import { headOf } from "./preview/head-of.ts";
import { createLooks } from "./preview/looks.ts";
import { toListedObject, toStageFailure } from "./to-proto.ts";

const OUTCOMES = {
  ok: ConnectionCheck_Outcome.OK,
  failed: ConnectionCheck_Outcome.FAILED,
  warning: ConnectionCheck_Outcome.WARNING,
  skipped: ConnectionCheck_Outcome.SKIPPED,
} as const;

/** What control asks of buckets, keys and tables. Nothing is kept between calls. */
export function inspectHandlers(
  config: IngestConfig,
  warehouse: Warehouse,
  threads: LoadThreadPool,
): UnaryHandlers<typeof InspectService> {
  const looks = createLooks(config, threads);
  return {
    ...looks,

    async testConnection({ connection }, signal) {
      const checks = await testConnection(connection, config, signal);
      return {
        checks: checks.map(({ check, outcome, error }) => ({
          name: ConnectionCheck_Name[check],
          outcome: OUTCOMES[outcome],
          ...(error && { failure: toStageFailure(error.toFailure()) }),
        })),
      };
    },

    async listObjects({ connection, prefix, delimiter, pageSize, pageToken }, signal) {
      await using source = openSource(toConnection(connection), config);
      const page = await source.list({
        prefix,
        ...(delimiter === "" ? {} : { delimiter }),
        ...(pageSize === 0 ? {} : { pageSize }),
        ...(pageToken === "" ? {} : { pageToken }),
        signal,
      });
      return {
        objects: page.objects.map(toListedObject),
        prefixes: [...page.prefixes],
        nextPageToken: page.nextPageToken ?? "",
      };
    },

    async findObjects({ list }, signal) {
      if (list === undefined) throw new Error("the call came without its work");
      return await findForPlan(list, config, signal);
    },

    async backtestPattern(request, signal) {
      return { backtest: await backtestPattern(request, config, signal) };
    },

    async pinObjects({ connection, keys }, signal) {
      await using source = openSource(toConnection(connection), config);
      const found: ObjectHead[] = [];
      for (const key of keys) {
        try {
          found.push(await source.head(key, { signal }));
        } catch (error) {
          if (!(error instanceof StageError && error.code === "file_not_found")) throw error;
        }
      }
      return { objects: found.map(toPinned) };
    },

    async beginUpload({ key }) {
      await using source = openSource(uploadsOf(config), config);
      return { uploadId: await source.uploads.begin(key) };
    },

    async uploadPart({ key, uploadId, number, content }) {
      await using source = openSource(uploadsOf(config), config);
      return { etag: await source.uploads.part({ key, uploadId }, number, content) };
    },

    async completeUpload({ key, uploadId, partEtags }) {
      await using source = openSource(uploadsOf(config), config);
      return { object: toPinned(await source.uploads.complete({ key, uploadId }, partEtags)) };
    },

    async abortUpload({ key, uploadId }) {
      await using source = openSource(uploadsOf(config), config);
      await source.uploads.abort({ key, uploadId });
      return {};
    },

    async findPgpRecipients({ connection, key }, signal) {
      try {
        await using source = openSource(toConnection(connection), config);
        const object = await headOf(source, { connection, key }, signal);
        const bytes = source.read(object, { signal });
        const found = await readRecipients(bytes, config.limits.decrypt);
        return found === undefined ? {} : { keyIds: [...found.keyIds], others: found.others };
      } catch (error) {
        // An object that cannot be read needs no keys: the look that follows says why.
        if (error instanceof StageError) return {};
        throw error;
      }
    },

    async inspectPgpKeys({ keys }) {
      const { privateKeyBlock = "", passphrase = "", signerPublicKeys = [] } = keys ?? {};
      await inspectSignerKeys(signerPublicKeys);
      const found =
        privateKeyBlock === ""
          ? []
          : await inspectPrivateKeys([privateKeyBlock], passphrase === "" ? undefined : passphrase);
      return {
        fingerprints: found.map(({ fingerprint }) => fingerprint),
        keyIds: found.flatMap(({ keyIds }) => keyIds),
      };
    },

    async describeTable({ feed: version }) {
      const feed = toFeed(given(version));
      const columns = await describeDomainTable(warehouse, feed);
      const exists = columns.length > 0;
      const tags = new Map(feed.fields.map(({ name, semanticTags }) => [name, semanticTags]));
      return {
        domainTable: {
          feedId: feed.id,
          database: feed.source,
          table: feed.name,
          exists,
          columns: columns.map(({ name, type }) => ({
            name,
            type,
            semanticTags: [...(tags.get(name) ?? [])],
          })),
          rows: BigInt(exists ? await countRows(warehouse, feed) : 0),
          rejectedRows: BigInt(exists ? await countRejects(warehouse, feed) : 0),
          bytes: BigInt(exists ? await readTableBytes(warehouse, feed) : 0),
        },
      };
    },

    async checkCustomQuery({ query }) {
      const { faults, columns } = await checkCustomQuery(warehouse, LOOKS, toCustomQuery(query));
      return {
        problems: faults.map(({ message, line, column }) => ({ message, line, column })),
        columns: columns.map(({ name, type }) => ({ name, type })),
      };
    },

    async findKeys({ query }) {
      const { faults, rows, candidates } = await findKeys(warehouse, LOOKS, toCustomQuery(query));
      return {
        problems: faults.map(({ message, line, column }) => ({ message, line, column })),
        rows: BigInt(rows),
        candidates: candidates.map(({ columns, distinct, empty }) => ({
          columns: [...columns],
          distinctValues: BigInt(distinct),
          uniqueShare: rows === 0 ? 0 : distinct / rows,
          emptyRows: BigInt(empty),
        })),
      };
    },

    async dropCustomTable({ source, name }) {
      await dropCustomTable(warehouse, { source, name });
      return {};
    },

    async measureTables({ feeds }) {
      const sizes = [];
      for (const feed of feeds.map(toFeed)) {
        const exists = (await describeDomainTable(warehouse, feed)).length > 0;
        sizes.push({
          exists,
          rows: BigInt(exists ? await countRows(warehouse, feed) : 0),
          rejectedRows: BigInt(exists ? await countRejects(warehouse, feed) : 0),
          bytes: BigInt(exists ? await readTableBytes(warehouse, feed) : 0),
        });
      }
      return { sizes };
    },

    async readDeleteEffect({ feed: version, rule, maxSamples }) {
      const feed = toFeed(given(version));
      if ((await describeDomainTable(warehouse, feed)).length === 0) {
        return { state: { rows: 0n, fingerprint: "" } };
      }
      const effect = await readDeleteEffect(warehouse, feed, toDeleteRule(rule), maxSamples);
      const { rows, fingerprint } = effect.state;
      return {
        state: { rows: BigInt(rows), fingerprint },
        rows: BigInt(effect.rows),
        samples: effect.samples.map((values) => ({ values: values satisfies JsonObject })),
      };
    },

    async readRows({ feed: version, maxRows }) {
      const feed = toFeed(given(version));
      if ((await describeDomainTable(warehouse, feed)).length === 0) return { rows: [] };
      const rows = await sampleRows(warehouse, feed, maxRows === 0 ? 100 : maxRows);
      return { rows: rows.map((values) => ({ values: values satisfies JsonObject })) };
    },

    async summarizeRejects({ feed: version, workflowId }) {
      const feed = toFeed(given(version));
      if ((await describeDomainTable(warehouse, feed)).length === 0) return { counts: [] };
      const of = workflowId === "" ? {} : { workflowId };
      const counts = await summarizeRejects(warehouse, feed, of);
      return { counts: counts.map(({ rows, ...reason }) => ({ ...reason, rows: BigInt(rows) })) };
    },

    async checkIngestQuery({ query }) {
      const { sql = "", fileTags = [] } = query ?? {};
      const faults = await checkQuery(warehouse, sql, fileTags);
      return {
        problems: faults.map(({ message, line, column }) => ({ message, line, column })),
      };
    },

    async prepareSemanticView({ source, feeds }) {
      await prepareStitchView(warehouse, source, feeds.map(toFeed));
      return {};
    },

    async readRejects({ feed: version, workflowId, pageSize, pageToken, withRecords }) {
      const feed = toFeed(given(version));
      if ((await describeDomainTable(warehouse, feed)).length === 0) return { rejects: [] };
      const limit = pageSize === 0 ? 50 : pageSize;
      const offset = toOffset(pageToken);
      const found = await listRejects(warehouse, feed, {
        ...(workflowId === "" ? {} : { workflowId }),
        limit: limit + 1,
        offset,
      });
      return {
        rejects: found.slice(0, limit).map((reject) => ({
          workflowId: reject.workflowId,
          key: reject.key,
          entry: reject.entry,
          row: BigInt(reject.row),
          byteOffset: BigInt(reject.byteOffset),
          stage: reject.stage,
          code: reject.code,
          field: reject.field,
          value: reject.value,
          message: reject.message,
          record: withRecords ? reject.record : "",
        })),
        nextPageToken: found.length > limit ? String(offset + limit) : "",
      };
    },
  };
}

function toPinned({ key, etag, versionId = "", size }: ObjectHead): {
  key: string;
  etag: string;
  versionId: string;
  size: bigint;
} {
  return { key, etag, versionId, size: BigInt(size) };
}

/** A connection that cannot even be opened fails at its first check. */
async function testConnection(
  connection: Connection | undefined,
  config: IngestConfig,
  signal: AbortSignal,
): Promise<readonly ConnectionCheck[]> {
  try {
    await using source = openSource(toConnection(connection), config);
    return await source.test(signal);
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    return [{ check: "REACH_BUCKET", outcome: "failed", error }];
  }
}

/** Where queries are looked at: a database of the service's own, whose name no source has. */
const LOOKS = "sluice";

function toCustomQuery(message: CustomTableChange | undefined): CustomQuery {
  if (message === undefined) throw new Error("the call came without a query");
  return { sql: message.query, readableTables: message.readableTables };
}

function given(feed: FeedVersion | undefined): FeedVersion {
  if (feed === undefined) throw new Error("the call came without a feed");
  return feed;
}

function toOffset(pageToken: string): number {
  const offset = Number(pageToken === "" ? 0 : pageToken);
  if (!Number.isSafeInteger(offset) || offset < 0) throw new Error("no page has this token");
  return offset;
}
