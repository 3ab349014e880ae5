import { crashPoint, StageError } from "@sluice/errors";
import type { Feed, LoadOperation } from "@sluice/schema";
import { type CatalogTable, lookAtTables } from "./catalog.ts";
import { addRejectColumns, hasRejectColumns } from "./domain-table.ts";
import { heldBy, STAGING_ONLY_SETTINGS } from "./staging.ts";
import {
  keptBeforeTable,
  keptPrefix,
  keptTable,
  namedTable,
  publishingPrefix,
  publishingTable,
  rejectsTable,
  rowsTable,
  stagingRejectsTable,
  stagingTable,
  type TableAddress,
  type TableName,
} from "./table-names.ts";
import {
  clickHouseCodeOf,
  TABLE_ALREADY_EXISTS,
  UNKNOWN_TABLE,
} from "./translate-clickhouse-error.ts";
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
 * | published | -       | R             | S    | *truncate and load*: EXCHANGE                  |
 * | kept      | -       | -             | S    | RENAME of R to its kept name, if asked for     |
 *
 * What was kept for an earlier workflow is then renamed to a private table of this one. What takes time goes with the
 * private tables, after the outcome is recorded (`dropStaging`): dropping it, and the settings by which S was a staging
 * table. Both wait for the disk right after much was written, and no reader sees either.
 *
 * After a doubt about its exchange an attempt fences off itself: `pub_<attempt>_<doubts>` is the next name.
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
  /**
   * Whether a table that is replaced is kept under a name of its own, in place of the one kept before, so that it
   * can come back. Default: it keeps the attempt's name, and goes with the other private tables.
   */
  readonly keepReplaced?: boolean;
  /**
   * Rows that were verified just now. They are counted again once the staging table has a name that no statement on its
   * way can know; other rows are `publish.unverified`, and nothing is changed. Default: they are not counted.
   */
  readonly stagedRows?: number;
  /** The table that changes places with the staged one. Default: the feed's rows. */
  readonly rows?: TableName;
}

export type PublishOutcome = "published" | "already_published";

/** A statement must not become longer than servers take. */
const PARTS_OF_STATEMENT = 1_000;

export async function uuidOf(warehouse: Warehouse, table: TableName): Promise<string | undefined> {
  const [uuid] = await uuidsOf(warehouse, [table]);
  return uuid;
}

/** The ids of several tables at one moment, each at its table's place. */
async function uuidsOf(
  warehouse: Warehouse,
  tables: readonly TableName[],
): Promise<(string | undefined)[]> {
  const found = await warehouse.query<{ database: string; name: string; uuid: string }>(
    "SELECT database, name, toString(uuid) AS uuid FROM system.tables WHERE database IN {databases:Array(String)} AND name IN {names:Array(String)}",
    { databases: tables.map(({ database }) => database), names: tables.map(({ table }) => table) },
  );
  return tables.map(
    ({ database, table }) =>
      found.find((each) => each.database === database && each.name === table)?.uuid,
  );
}

const conflict = (message: string, cause?: unknown): StageError =>
  new StageError("publish", "conflict", message, cause === undefined ? {} : { cause });

/** What the caller records durably before the first attempt: which tables are to change places. */
export async function readPublishIntent(
  warehouse: Warehouse,
  feed: Feed,
  workflowId: string,
  operation: LoadOperation,
  rows: TableName = rowsTable(feed),
): Promise<PublishIntent> {
  const at = { source: feed.source, name: feed.name };
  const [stagingUuid, rowsUuid] = await uuidsOf(warehouse, [stagingTable(at, workflowId), rows]);
  if (stagingUuid === undefined || rowsUuid === undefined) {
    throw conflict(`the ${stagingUuid === undefined ? "staging" : "rows"} table is not there`);
  }
  return { operation, stagingUuid, rowsUuid };
}

/** All tables that a publish is about, at one moment, by name. */
async function look({
  warehouse,
  feed,
  workflowId,
  rows = rowsTable(feed),
}: PublishOptions): Promise<ReadonlyMap<string, CatalogTable>> {
  return await lookAtTables(warehouse, {
    database: feed.source,
    names: [
      rows.table,
      stagingTable(feed, workflowId).table,
      stagingRejectsTable(feed, workflowId).table,
    ],
    prefixes: [publishingPrefix(feed, workflowId), keptPrefix(feed)],
  });
}

interface Claimed {
  readonly mine: TableName;
  /** Whether no earlier attempt has come so far: nothing can have been changed yet. */
  readonly isFirst: boolean;
}

/**
 * Gives the staging table this attempt's name, wherever an earlier attempt left it. The look may be old: a name that
 * another attempt has taken since is not there any more.
 */
async function claim(
  { warehouse, feed, workflowId, attempt }: PublishOptions,
  seen: ReadonlyMap<string, CatalogTable>,
  isInDoubt = false,
): Promise<Claimed> {
  const at: TableAddress = { source: feed.source, name: feed.name };
  const last = heldBy(seen.keys(), publishingPrefix(at, workflowId)).at(-1);
  if (last !== undefined && last.attempt > attempt) {
    throw conflict(`a later attempt than ${attempt} is publishing`);
  }
  const from = last === undefined ? stagingTable(at, workflowId) : namedTable(at, last.name);
  const isMine = last?.attempt === attempt;
  if (isMine && !isInDoubt) return { mine: from, isFirst: false };
  const mine = publishingTable(at, workflowId, attempt, isMine ? last.doubts + 1 : 0);
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
  return { mine, isFirst: last === undefined };
}

/** The same; undefined where an earlier attempt has come to its very end since the look, and the replaced table has its kept name. */
async function claimOrGone(
  options: PublishOptions,
  seen: ReadonlyMap<string, CatalogTable>,
): Promise<Claimed | undefined> {
  try {
    return await claim(options, seen);
  } catch (error) {
    const isLost = error instanceof StageError && error.stage === "publish";
    if (isLost && isKept(options, await look(options))) return undefined;
    throw error;
  }
}

async function assertStaged(
  { warehouse, stagedRows }: PublishOptions,
  mine: TableName,
): Promise<void> {
  if (stagedRows === undefined) return;
  const rows = await countRowsOf(warehouse, mine);
  if (rows === stagedRows) return;
  throw new StageError(
    "publish",
    "unverified",
    `${rows} rows are staged where ${stagedRows} were verified`,
    { seen: `${rows} rows`, expected: `${stagedRows} rows` },
  );
}

async function countRowsOf(warehouse: Warehouse, { sql }: TableName): Promise<number> {
  const [found] = await warehouse.query<{ n: string }>(`SELECT toString(count()) AS n FROM ${sql}`);
  return Number(found?.n);
}

type Position = "before" | "after";

async function position(
  { warehouse, feed, intent, rows: target = rowsTable(feed) }: PublishOptions,
  mine: TableName,
): Promise<Position> {
  const [claimed, rows] = await uuidsOf(warehouse, [mine, target]);
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
  const { warehouse, feed, workflowId, intent, rows = rowsTable(feed) } = options;
  const keeps = options.keepReplaced === true && intent.operation === "truncate_and_load";
  const seen = await look(options);
  if (keeps && isKept(options, seen)) {
    await setKeptBeforeAside(options, seen);
    return "already_published";
  }
  const claimed = await claimOrGone(options, seen);
  if (claimed === undefined) {
    await setKeptBeforeAside(options, await look(options));
    return "already_published";
  }
  const { mine, isFirst } = claimed;
  crashPoint("publish-claimed");
  if (isFirst) await assertStaged(options, mine);
  // All loads have ended: where nothing was refused, nothing is to be moved.
  if ((seen.get(stagingRejectsTable(feed, workflowId).table)?.rows ?? 0) > 0) {
    await handRejects(warehouse, feed, workflowId, isFirst ? "move" : "move again");
  }
  let outcome: PublishOutcome = "already_published";
  let replaced = mine;
  try {
    if ((await position(options, mine)) === "before") {
      if (intent.operation === "load") {
        outcome = await moveRows(warehouse, mine, rows, isFirst);
      } else {
        replaced = await exchange(options, mine, rows);
        outcome = "published";
      }
    }
    crashPoint("publish-changed");
    if (keeps) {
      await keep(options, replaced);
      await setKeptBeforeAside(options, seen);
    }
    return outcome;
  } catch (error) {
    if (clickHouseCodeOf(error) !== UNKNOWN_TABLE) throw error;
    if ((await uuidOf(warehouse, replaced)) !== undefined) throw error;
    throw conflict("a later attempt took the staging table", error);
  }
}

/** Whether an earlier attempt came to its very end: the replaced table has its kept name. */
function isKept(
  { feed, workflowId, intent, rows = rowsTable(feed) }: PublishOptions,
  seen: ReadonlyMap<string, CatalogTable>,
): boolean {
  return (
    seen.get(keptTable(feed, workflowId).table)?.uuid === intent.rowsUuid &&
    seen.get(rows.table)?.uuid === intent.stagingUuid
  );
}

async function keep(options: PublishOptions, mine: TableName): Promise<void> {
  const { warehouse, feed, workflowId } = options;
  await warehouse.retrying(undefined, async (attempt) => {
    // A rename that was carried out but not answered is not repeated. Before the first it was looked already.
    if (attempt > 1 && isKept(options, await look(options))) return;
    try {
      await warehouse.executeOnce(`RENAME TABLE ${mine.sql} TO ${keptTable(feed, workflowId).sql}`);
    } catch (error) {
      // The one before was still on its way when it was looked.
      if (clickHouseCodeOf(error) !== UNKNOWN_TABLE) throw error;
      if (!isKept(options, await look(options))) throw error;
    }
  });
}

/**
 * Makes what was kept before a private table of this workflow, with which it is dropped. Nobody else publishes into the
 * feed meanwhile: all that were kept by now are older, whoever kept them.
 */
async function setKeptBeforeAside(
  { warehouse, feed, workflowId }: PublishOptions,
  seen: ReadonlyMap<string, CatalogTable>,
): Promise<void> {
  const prefix = keptPrefix(feed);
  const mine = keptTable(feed, workflowId).table;
  for (const name of seen.keys()) {
    if (!name.startsWith(prefix) || name === mine) continue;
    const aside = keptBeforeTable(feed, workflowId, name.slice(prefix.length));
    // Repeated, or of two attempts the slower one, it finds nothing to rename.
    await warehouse.execute(`RENAME TABLE IF EXISTS ${namedTable(feed, name).sql} TO ${aside.sql}`);
  }
}

async function moveRows(
  warehouse: Warehouse,
  mine: TableName,
  rows: TableName,
  isFirst: boolean,
): Promise<PublishOutcome> {
  if (!isFirst) await dropMoved(warehouse, mine, rows);
  const left = await countRowsOf(warehouse, mine);
  crashPoint("publish-before-change");
  await movePartition(warehouse, mine, rows);
  return left === 0 ? "already_published" : "published";
}

/**
 * Exchanges the two tables once; gives the table that was replaced. An exchange undoes itself, and one of which no answer
 * came may still be on its way: the table that it names gets another name before it is looked where it stands.
 */
async function exchange(
  options: PublishOptions,
  claimed: TableName,
  rows: TableName,
): Promise<TableName> {
  const { warehouse } = options;
  let mine = claimed;
  await warehouse.retrying(undefined, async (attempt) => {
    // The caller has just looked where it stands.
    if (attempt > 1) {
      ({ mine } = await claim(options, await look(options), true));
      if ((await position(options, mine)) === "after") return;
    }
    crashPoint("publish-before-change");
    await warehouse.executeOnce(`EXCHANGE TABLES ${mine.sql} AND ${rows.sql}`);
  });
  return mine;
}

/**
 * Lets the rejects of a load be read that failed by its threshold. They stay staged as well: the load may be resumed,
 * and then all of its rows are counted again.
 */
export async function showRejects(
  warehouse: Warehouse,
  feed: Feed,
  workflowId: string,
): Promise<void> {
  await handRejects(warehouse, feed, workflowId, "show");
}

/** The names of the columns of several tables of one database, by the table's name. */
async function rejectColumns(
  warehouse: Warehouse,
  tables: readonly TableName[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = await warehouse.query<{ table: string; columns: string[] }>(
    "SELECT table, groupArray(name) AS columns FROM system.columns WHERE database = {database:String} AND table IN {tables:Array(String)} GROUP BY table",
    { database: tables[0]?.database ?? "", tables: tables.map(({ table }) => table) },
  );
  return new Map(found.map(({ table, columns }) => [table, columns]));
}

/** Hands the workflow's rejects over to the feed's quarantine, which keeps one row per row of a file. */
async function handRejects(
  warehouse: Warehouse,
  feed: Feed,
  workflowId: string,
  how: "move" | "move again" | "show",
): Promise<void> {
  const at = { source: feed.source, name: feed.name };
  const from = stagingRejectsTable(at, workflowId);
  const to = rejectsTable(at);
  const held = await rejectColumns(warehouse, [from, to]);
  if (held.get(from.table) === undefined) return;
  // A workflow that an older release began has narrower tables, and only equal ones move.
  for (const table of [to, from]) {
    const there = held.get(table.table) ?? [];
    if (!hasRejectColumns(there.map((name) => ({ name })))) {
      await addRejectColumns(warehouse, table);
    }
  }
  if (how === "move again") await dropMoved(warehouse, from, to);
  if (how !== "show") return await movePartition(warehouse, from, to);
  await warehouse.execute(`ALTER TABLE ${to.sql} ATTACH PARTITION tuple() FROM ${from.sql}`);
}

/**
 * Moves all rows at once; repeated, it moves what is left. A staging table has a part for each batch, and
 * by default the server refuses to move more than 1,000 of them, for ever: a file of 4 GB has as many.
 */
async function movePartition(warehouse: Warehouse, from: TableName, to: TableName): Promise<void> {
  await warehouse.retrying(undefined, async (attempt) => {
    if (attempt > 1) await dropMoved(warehouse, from, to);
    await warehouse.executeOnce(
      `ALTER TABLE ${from.sql} MOVE PARTITION tuple() TO TABLE ${to.sql} SETTINGS max_parts_to_move = ${STAGING_ONLY_SETTINGS.parts_to_throw_insert}`,
    );
  });
}

/**
 * Drops parts that stand in both tables. A server that is killed in a move may come back so: a part is put into the one
 * table before it is taken from the other. A part that was moved is the same file by file, and rows of two
 * batches never are: they tell where they come from. Of one that has been merged since nothing is known: it is moved again, and
 * readers, who see one row of a key, see no more of it than before.
 */
async function dropMoved(warehouse: Warehouse, from: TableName, to: TableName): Promise<void> {
  const twice = await warehouse.query<{ name: string }>(
    `SELECT name FROM system.parts WHERE active AND rows > 0 AND database = {database:String} AND table = {from:String}
       AND hash_of_all_files IN (SELECT hash_of_all_files FROM system.parts WHERE active AND database = {database:String} AND table = {to:String})`,
    { database: from.database, from: from.table, to: to.table },
  );
  for (let at = 0; at < twice.length; at += PARTS_OF_STATEMENT) {
    const parts = twice.slice(at, at + PARTS_OF_STATEMENT).map(({ name }) => `DROP PART '${name}'`);
    await warehouse.execute(`ALTER TABLE ${from.sql} ${parts.join(", ")}`);
  }
}
