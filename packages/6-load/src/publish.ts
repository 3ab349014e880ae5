import { StageError } from "@sluice/errors";
import type { Feed, LoadOperation } from "@sluice/schema";
import { addRejectColumns } from "./domain-table.ts";
import { listPublishing, STAGING_ONLY_SETTINGS } from "./staging.ts";
import {
  publishingTable,
  rejectsTable,
  rowsTable,
  stagingRejectsTable,
  stagingTable,
  type TableAddress,
  type TableName,
} from "./table-names.ts";
import { clickHouseCodeOf } from "./translate-clickhouse-error.ts";
import type { Warehouse } from "./warehouse.ts";

/**
 * Publishing as a state machine. S and R are the UUIDs of staging and rows before it began; `pub` is the
 * name that the attempt gives the staging table, which fences off every earlier attempt: their
 * statements name a table that is not there any more.
 *
 * | state     | staging | pub_<attempt> | rows | reached by                                     |
 * |-----------|---------|---------------|------|------------------------------------------------|
 * | staged    | S       | -             | R    | verified; the intent is recorded               |
 * | claimed   | -       | S             | R    | RENAME, from staging or from an older attempt  |
 * | published | -       | S, emptied    | R    | *load*: MOVE PARTITION                         |
 * | published | -       | R             | S    | *truncate and load*: RESET SETTING, EXCHANGE   |
 *
 * Every step may be repeated: a later attempt claims the table from the name it finds, and reads
 * the UUIDs to see whether the exchange, which undoes itself, was carried out. Any other
 * pair of UUIDs is somebody else's work: `publish.conflict`, and nothing is touched.
 */
export interface PublishIntent {
  readonly operation: LoadOperation;
  readonly stagingUuid: string;
  readonly rowsUuid: string;
}

export interface PublishOptions {
  readonly warehouse: Warehouse;
  readonly feed: Feed;
  readonly workflowId: string;
  /** Grows with every attempt at publishing this workflow: the fencing number. */
  readonly attempt: number;
  readonly intent: PublishIntent;
}

export type PublishOutcome = "published" | "already_published";

const UNKNOWN_TABLE = 60;
const TABLE_ALREADY_EXISTS = 57;

export async function uuidOf(
  warehouse: Warehouse,
  { database, table }: TableName,
): Promise<string | undefined> {
  const [found] = await warehouse.query<{ uuid: string }>(
    "SELECT toString(uuid) AS uuid FROM system.tables WHERE database = {database:String} AND name = {table:String}",
    { database, table },
  );
  return found?.uuid;
}

const conflict = (message: string, cause?: unknown): StageError =>
  new StageError("publish", "conflict", message, cause === undefined ? {} : { cause });

/** What the caller records durably before the first attempt: which tables are to change places. */
export async function readPublishIntent(
  warehouse: Warehouse,
  feed: Feed,
  workflowId: string,
  operation: LoadOperation,
): Promise<PublishIntent> {
  const at = { source: feed.source, name: feed.name };
  const stagingUuid = await uuidOf(warehouse, stagingTable(at, workflowId));
  const rowsUuid = await uuidOf(warehouse, rowsTable(at));
  if (stagingUuid === undefined || rowsUuid === undefined) {
    throw conflict(`the ${stagingUuid === undefined ? "staging" : "rows"} table is not there`);
  }
  return { operation, stagingUuid, rowsUuid };
}

/** Gives the staging table this attempt's name, wherever an earlier attempt left it. */
async function claim(options: PublishOptions): Promise<TableName> {
  const { warehouse, feed, workflowId, attempt } = options;
  const at: TableAddress = { source: feed.source, name: feed.name };
  const mine = publishingTable(at, workflowId, attempt);
  const held = await listPublishing(warehouse, at, workflowId);
  if (held.some((other) => other.attempt > attempt)) {
    throw conflict(`a later attempt than ${attempt} is publishing`);
  }
  if (held.some((other) => other.attempt === attempt)) return mine;
  const last = held.at(-1);
  const from =
    last === undefined
      ? stagingTable(at, workflowId)
      : publishingTable(at, workflowId, last.attempt);
  try {
    await warehouse.execute(`RENAME TABLE ${from.sql} TO ${mine.sql}`);
  } catch (error) {
    // A rename that was carried out but not answered finds its source gone when it is repeated.
    const code = clickHouseCodeOf(error);
    if (code !== UNKNOWN_TABLE && code !== TABLE_ALREADY_EXISTS) throw error;
    if ((await uuidOf(warehouse, mine)) === undefined) {
      throw conflict("the staging table is not there, or another attempt took it", error);
    }
  }
  return mine;
}

type Position = "before" | "after";

async function position(
  { warehouse, feed, intent }: PublishOptions,
  mine: TableName,
): Promise<Position> {
  const claimed = await uuidOf(warehouse, mine);
  const rows = await uuidOf(warehouse, rowsTable({ source: feed.source, name: feed.name }));
  if (claimed === intent.stagingUuid && rows === intent.rowsUuid) return "before";
  if (
    intent.operation === "truncate_and_load" &&
    claimed === intent.rowsUuid &&
    rows === intent.stagingUuid
  ) {
    return "after";
  }
  throw conflict(
    "the domain table, or the staging table, is not the one that the workflow began with",
  );
}

/**
 * Makes the staged rows visible, all at once, exactly once. Call it again after any failure, with a
 * larger `attempt`. Drops nothing: the caller records the outcome first.
 */
export async function publish(options: PublishOptions): Promise<PublishOutcome> {
  const { warehouse, feed, workflowId, intent } = options;
  const at = { source: feed.source, name: feed.name };
  const mine = await claim(options);
  await publishRejects(warehouse, feed, workflowId);
  if ((await position(options, mine)) === "after") return "already_published";
  try {
    return intent.operation === "load"
      ? await moveRows(warehouse, mine, rowsTable(at))
      : await exchange(options, mine, rowsTable(at));
  } catch (error) {
    if (clickHouseCodeOf(error) !== UNKNOWN_TABLE) throw error;
    if ((await uuidOf(warehouse, mine)) !== undefined) throw error;
    throw conflict("a later attempt took the staging table", error);
  }
}

async function moveRows(
  warehouse: Warehouse,
  mine: TableName,
  rows: TableName,
): Promise<PublishOutcome> {
  const [left] = await warehouse.query<{ n: string }>(
    `SELECT toString(count()) AS n FROM ${mine.sql}`,
  );
  await movePartition(warehouse, mine, rows);
  return left?.n === "0" ? "already_published" : "published";
}

async function exchange(
  options: PublishOptions,
  mine: TableName,
  rows: TableName,
): Promise<PublishOutcome> {
  const { warehouse } = options;
  // The table is about to serve readers: it must merge again.
  const names = Object.keys(STAGING_ONLY_SETTINGS).join(", ");
  await warehouse.execute(`ALTER TABLE ${mine.sql} RESET SETTING ${names}`);
  return await warehouse.retrying<PublishOutcome>(undefined, async () => {
    if ((await position(options, mine)) === "after") return "published";
    await warehouse.executeOnce(`EXCHANGE TABLES ${mine.sql} AND ${rows.sql}`);
    return "published";
  });
}

/**
 * Moves the workflow's rejects into the feed's quarantine: part of publishing, and alone for a load that
 * failed by its threshold. The quarantine keeps one row per row of a file, so a repetition adds nothing.
 */
export async function publishRejects(
  warehouse: Warehouse,
  feed: Feed,
  workflowId: string,
): Promise<void> {
  const at = { source: feed.source, name: feed.name };
  const from = stagingRejectsTable(at, workflowId);
  if ((await uuidOf(warehouse, from)) === undefined) return;
  // A workflow that an older release began has narrower tables, and only equal ones move.
  await addRejectColumns(warehouse, rejectsTable(at));
  await addRejectColumns(warehouse, from);
  await movePartition(warehouse, from, rejectsTable(at));
}

/**
 * Moves all rows at once; repeated, it finds nothing to move. A staging table has a part for each batch, and
 * by default the server refuses to move more than 1,000 of them, for ever: a file of 4 GB has as many.
 */
async function movePartition(warehouse: Warehouse, from: TableName, to: TableName): Promise<void> {
  await warehouse.execute(
    `ALTER TABLE ${from.sql} MOVE PARTITION tuple() TO TABLE ${to.sql} SETTINGS max_parts_to_move = ${STAGING_ONLY_SETTINGS.parts_to_throw_insert}`,
  );
}
