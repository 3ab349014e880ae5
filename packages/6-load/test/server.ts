import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LocalClickHouse, startLocalClickHouse } from "@sluice/local-clickhouse";
import type {
  Batch,
  Feed,
  Field,
  FieldType,
  LoadOperation,
  ManifestObject,
  Slice,
  SourceColumn,
} from "@sluice/schema";
import {
  createStaging,
  createWarehouse,
  type LoadTotals,
  loadBatches,
  type PublishOutcome,
  prepareDomainTable,
  publish,
  readPublishIntent,
  resolveColumns,
  type Warehouse,
  type WarehouseOptions,
} from "../src/index.ts";

/** A real server in a directory of its own, and the loader's warehouse on it. */
export interface TestServer {
  /** The server that runs now; another one after `crash`. */
  readonly server: LocalClickHouse;
  readonly warehouse: Warehouse;
  connect(options?: Partial<WarehouseOptions>): Warehouse;
  /** The text that a SELECT of the admin's gives in a format, as bytes. */
  bytes(statement: string): Promise<Uint8Array>;
  rows<Row>(statement: string): Promise<Row[]>;
  admin(statement: string): Promise<void>;
  /** SIGKILL; resolves when the process has ended. */
  crash(): Promise<void>;
  /** Starts the server again on the port and the data it had. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Names of the tables that workflows have for themselves, of one feed. */
export async function privateTables(
  { warehouse }: Pick<TestServer, "warehouse">,
  { source, name }: { readonly source: string; readonly name: string },
): Promise<string[]> {
  const found = await warehouse.query<{ table: string }>(
    "SELECT name AS table FROM system.tables WHERE database = {source:String} AND (startsWith(name, {staging:String}) OR startsWith(name, {publishing:String})) ORDER BY name",
    { source, staging: `${name}__stg_`, publishing: `${name}__pub_` },
  );
  return found.map(({ table }) => table);
}

export async function startTestServer(): Promise<TestServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "sluice-load-"));
  let server = await startLocalClickHouse({ dataDir });
  const { url, httpPort, users } = server;
  const opened: Warehouse[] = [];
  const connect = (options: Partial<WarehouseOptions> = {}): Warehouse => {
    const { name, password } = users.loader;
    const warehouse = createWarehouse({ url, username: name, password, ...options });
    opened.push(warehouse);
    return warehouse;
  };
  const bytes = async (statement: string): Promise<Uint8Array> => {
    const response = await fetch(`${url}/?max_query_size=100000000`, {
      method: "POST",
      body: statement,
      headers: { "X-ClickHouse-User": users.admin.name, "X-ClickHouse-Key": users.admin.password },
    });
    const body = new Uint8Array(await response.arrayBuffer());
    if (!response.ok) throw new Error(Buffer.from(body).toString());
    return body;
  };
  return {
    get server() {
      return server;
    },
    warehouse: connect(),
    connect,
    bytes,
    async rows<Row>(statement: string): Promise<Row[]> {
      const text = Buffer.from(await bytes(`${statement} FORMAT JSONEachRow`)).toString();
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line): Row => JSON.parse(line));
    },
    async admin(statement) {
      await bytes(statement);
    },
    async crash() {
      server.kill();
      await server.exited;
    },
    async restart() {
      server = await startLocalClickHouse({ dataDir, httpPort });
    },
    async stop() {
      for (const warehouse of opened) await warehouse.close();
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export function field(
  name: string,
  type: FieldType | FieldType["kind"],
  more: Partial<Field> = {},
): Field {
  return {
    incomingName: name,
    name,
    type: typeof type === "string" ? plainType(type) : type,
    semanticTags: [],
    include: true,
    require: false,
    ...more,
  };
}

function plainType(kind: FieldType["kind"]): FieldType {
  return kind === "decimal" ? { kind, precision: 10, scale: 2 } : { kind };
}

export function feedOf(fields: readonly Field[], more: Partial<Feed> = {}): Feed {
  return {
    id: "feed-1",
    source: "acme",
    name: "customers",
    version: 1,
    fields,
    primaryKey: [fields[0]?.name ?? ""],
    errorThresholdPercent: 1,
    makeAvailableToStitch: false,
    ...more,
  };
}

export function manifestObject(more: Partial<ManifestObject> = {}): ManifestObject {
  return { bucket: "bucket", key: "in/a.csv", etag: '"e1"', size: 1, ordinal: 1, ...more };
}

export const textColumns = (names: readonly string[]): SourceColumn[] =>
  names.map((name) => ({ name, type: "Nullable(String)" }));

/** A row of a batch: cells by column, or a record that could not be cut. */
export type TestRow =
  | readonly (string | Uint8Array | null)[]
  | { readonly code: string; readonly raw: string };

/** Bytes as hexadecimal digits, null as a sign that is none. */
const hex = (value: string | Uint8Array | null): string =>
  value === null ? "-" : Buffer.from(value).toString("hex");

/** A batch as 5-batch makes it, its Arrow body written by the server itself. */
export async function batchOf(
  { bytes }: Pick<TestServer, "bytes">,
  rows: readonly TestRow[],
  place: { readonly ordinal?: number; readonly firstRow?: number } = {},
): Promise<Batch & { readonly released: boolean }> {
  const { ordinal = 0, firstRow = 1 } = place;
  const width = rows.reduce((most, row) => Math.max(most, "code" in row ? 0 : row.length), 0);
  const lines = rows.map((row, at) => {
    const cells = Array.from({ length: width }, (_, i) =>
      "code" in row ? null : (row[i] ?? null),
    );
    const fault = "code" in row ? [row.code, "broken", row.raw] : [null, null, null];
    return [firstRow + at, (firstRow + at) * 10, ...[...cells, ...fault].map(hex)].join("\t");
  });
  const names = [
    ...Array.from({ length: width }, (_, i) => `c${i}`),
    "_fault_code",
    "_fault_message",
    "_fault_raw",
  ];
  const texts = names.map((name) => `if(x_${name} = '-', NULL, unhex(x_${name})) AS ${name}`);
  const columns = [...texts.slice(0, width), "_row", "_offset", ...texts.slice(width)];
  const structure = ["_row UInt64", "_offset UInt64", ...names.map((name) => `x_${name} String`)];
  const body = await bytes(
    `SELECT ${columns.join(", ")} FROM format(TSV, '${structure.join(", ")}', '${lines.map((line) => `${line}\n`).join("")}') SETTINGS output_format_arrow_string_as_string = 1, max_threads = 1 FORMAT ArrowStream`,
  );
  let released = false;
  return {
    ordinal,
    firstRow,
    rows: rows.length,
    body: [body],
    byteLength: body.byteLength,
    release: () => {
      released = true;
    },
    get released() {
      return released;
    },
  };
}

export async function* streamOf<T>(...items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** What rows of a test come from. */
export interface TestOrigin {
  readonly workflowId?: string;
  readonly object?: Partial<ManifestObject>;
  readonly entry?: string;
  readonly rowBase?: number;
}

/** Stages one batch of rows, a text column for each included field, as a load of an object does. */
export async function stageRows(
  server: Pick<TestServer, "bytes" | "warehouse">,
  feed: Feed,
  rows: readonly TestRow[],
  { workflowId = "w", object, entry = "", rowBase = 0 }: TestOrigin = {},
): Promise<LoadTotals> {
  const { warehouse } = server;
  const names = feed.fields.filter(({ include }) => include).map((one) => one.incomingName);
  await prepareDomainTable(warehouse, feed);
  await createStaging(warehouse, { source: feed.source, name: feed.name }, workflowId);
  return await loadBatches({
    warehouse,
    feed,
    workflowId,
    object: manifestObject(object),
    entry,
    rowBase,
    plan: resolveColumns(feed, textColumns(names)),
  })(streamOf(await batchOf(server, rows)));
}

/** Publishes what a workflow staged, and leaves the staging. */
export async function publishStaged(
  { warehouse }: Pick<TestServer, "warehouse">,
  feed: Feed,
  workflowId = "w",
  operation: LoadOperation = "load",
): Promise<PublishOutcome> {
  const intent = await readPublishIntent(warehouse, feed, workflowId, operation);
  return await publish({ warehouse, feed, workflowId, attempt: 1, intent });
}

/** A slice of typed columns, its bytes written by the server itself from a SELECT. */
export async function sliceOf(
  { bytes }: Pick<TestServer, "bytes">,
  select: string,
  more: Partial<Slice> = {},
): Promise<Slice> {
  const { format = "Parquet" } = more;
  // Text as text, so that the reader's types are the ones that the select has.
  const settings =
    format === "Parquet"
      ? "output_format_parquet_string_as_string = 1, output_format_parquet_fixed_string_as_fixed_byte_array = 1"
      : "output_format_arrow_string_as_string = 1, output_format_arrow_fixed_string_as_fixed_byte_array = 1";
  const body = await bytes(`${select} SETTINGS ${settings} FORMAT ${format}`);
  const rows = Number(Buffer.from(await bytes(`SELECT count() FROM (${select})`)).toString());
  return {
    format,
    ordinal: 0,
    firstRow: 1,
    rows,
    byteLength: body.byteLength,
    byteOffset: 4,
    identity: createHash("sha256").update(body).digest("hex"),
    open: () => streamOf(body),
    ...more,
  };
}
