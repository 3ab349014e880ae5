import { StageError } from "@sluice/errors";
import type { Feed } from "@sluice/schema";
import { IS_OPEN_REJECT, REJECT_COLUMNS } from "./columns.ts";
import { type DeleteRule, deleteCondition } from "./delete-rule.ts";
import { differencesFrom, prepareDomainTable, readColumns } from "./domain-table.ts";
import { uuidOf } from "./publish.ts";
import { type CustomQuery, fillFromQuery } from "./query/custom-query.ts";
import { quoteIdentifier, quoteText } from "./quoting.ts";
import { listKept, STAGING_ONLY_SETTINGS } from "./staging.ts";
import {
  buildTable,
  domainTable,
  keptTable,
  queryView,
  rejectsTable,
  rowsTable,
  stagingTable,
  type TableAddress,
  type TableName,
} from "./table-names.ts";
import { countMatching, readTableState, type TableState } from "./table-state.ts";
import type { Warehouse } from "./warehouse.ts";

/**
 * Changes of a domain table that are no loads. None deletes in place: the rows that stay are written into a table of
 * the change's own, which `publish` then exchanges with the old one, as for a truncate and load. So readers see all of
 * it or nothing, a repetition changes nothing, the old table can be kept, and the loader needs no right to
 * delete. Nobody else may publish into the table meanwhile: call these from the publish of the feed alone.
 */
export interface ChangeOptions {
  readonly warehouse: Warehouse;
  readonly feed: Feed;
  readonly workflowId: string;
  /** Grows with every attempt: what an earlier one left half done has another name. */
  readonly attempt: number;
}

const conflict = (message: string): StageError => new StageError("publish", "conflict", message);
const columnList = (names: readonly string[]): string => names.map(quoteIdentifier).join(", ");

/** Stages the rows that a rule leaves. `publish.conflict` when the table is not the one that was planned with. */
export async function stageWithoutRows(
  options: ChangeOptions,
  rule: DeleteRule,
  planned: { readonly state: TableState; readonly rows: number },
): Promise<void> {
  const { warehouse, feed } = options;
  const state = await readTableState(warehouse, feed);
  const isSame =
    state.rows === planned.state.rows && state.fingerprint === planned.state.fingerprint;
  if (!isSame)
    throw conflict("the domain table has changed since the rows were counted: plan anew");
  const condition = deleteCondition(feed, rule);
  // The same rows, and another count: a rule that means something else by now.
  if ((await countMatching(warehouse, feed, condition)) !== planned.rows) {
    throw conflict("the rule does not match the rows that it matched when they were counted");
  }
  await stageRemaining(options, `NOT (${condition})`, state.rows - planned.rows);
}

/** Stages an empty table. */
export async function stageNothing(options: ChangeOptions): Promise<void> {
  await stageRemaining(options, undefined, 0);
}

/** Stages the rows that another workflow did not load: only right where those took the place of none. */
export async function stageWithoutWorkflow(
  options: ChangeOptions,
  loadedBy: string,
): Promise<void> {
  const { warehouse, feed } = options;
  const others = `_workflow != ${quoteText(loadedBy)}`;
  await stageRemaining(options, others, await countMatching(warehouse, feed, others));
}

/** Stages the table that another workflow replaced. `publish.conflict` when it was not kept. */
export async function stageReplacedTable(
  { warehouse, feed, workflowId }: ChangeOptions,
  replacedBy: string,
): Promise<void> {
  const staging = stagingTable(feed, workflowId);
  const kept = keptTable(feed, replacedBy);
  await prepareDomainTable(warehouse, feed);
  if ((await uuidOf(warehouse, staging)) !== undefined) return;
  if ((await uuidOf(warehouse, kept)) === undefined) {
    throw conflict("the table that was replaced is not kept any more");
  }
  await addColumnsOf(warehouse, kept, rowsTable(feed));
  const different = await differencesFrom(warehouse, feed, kept);
  if (different.length > 0) {
    throw conflict(`the feed has changed since the table was replaced: ${different.join("; ")}`);
  }
  await withStagingSettings(warehouse, kept);
  await renameOnce(warehouse, kept, staging);
}

/**
 * Stages the rows of a custom domain table's query, and makes the table, empty, if it is not there: so that the first
 * publish, too, is an exchange.
 */
export async function stageQuery(
  { warehouse, feed, workflowId, attempt }: ChangeOptions,
  query: CustomQuery,
): Promise<void> {
  const staging = stagingTable(feed, workflowId);
  if ((await uuidOf(warehouse, staging)) === undefined) {
    const build = buildTable(feed, workflowId, attempt);
    // An attempt of this number may have died before it could say so.
    await warehouse.execute(`DROP TABLE IF EXISTS ${build.sql} SYNC`);
    await fillFromQuery(warehouse, query, build, queryView(feed, workflowId, attempt));
    await withStagingSettings(warehouse, build);
    await renameOnce(warehouse, build, staging);
  }
  const table = domainTable(feed).sql;
  await warehouse.execute(`CREATE TABLE IF NOT EXISTS ${table} AS ${staging.sql}`);
}

/** Drops the table of a custom domain table. Repeating it changes nothing. */
export async function dropCustomTable(warehouse: Warehouse, at: TableAddress): Promise<void> {
  await warehouse.execute(`DROP TABLE IF EXISTS ${domainTable(at).sql} SYNC`);
}

/** The view names every column of the feed: a table from before a column came gets it, empty. */
async function addColumnsOf(
  warehouse: Warehouse,
  table: TableName,
  model: TableName,
): Promise<void> {
  const there = new Set((await readColumns(warehouse, table)).map(({ name }) => name));
  const absent = (await readColumns(warehouse, model)).filter(({ name }) => !there.has(name));
  if (absent.length === 0) return;
  const clauses = absent.map(
    ({ name, type }) => `ADD COLUMN IF NOT EXISTS ${quoteIdentifier(name)} ${type}`,
  );
  await warehouse.execute(`ALTER TABLE ${table.sql} ${clauses.join(", ")}`);
}

/** What publishing takes away again before the exchange. */
async function withStagingSettings(warehouse: Warehouse, table: TableName): Promise<void> {
  const settings = Object.entries(STAGING_ONLY_SETTINGS).map(
    ([name, value]) => `${name} = ${value}`,
  );
  await warehouse.execute(`ALTER TABLE ${table.sql} MODIFY SETTING ${settings.join(", ")}`);
}

async function renameOnce(warehouse: Warehouse, from: TableName, to: TableName): Promise<void> {
  await warehouse.retrying(undefined, async () => {
    // One that was carried out but not answered is not repeated.
    if ((await uuidOf(warehouse, to)) !== undefined) return;
    await warehouse.executeOnce(`RENAME TABLE ${from.sql} TO ${to.sql}`);
  });
}

/**
 * Fills a table under the attempt's own name and then gives it the staging name: a staging table that is there is
 * whole. Without a condition it stays empty.
 */
async function stageRemaining(
  { warehouse, feed, workflowId, attempt }: ChangeOptions,
  condition: string | undefined,
  expected: number,
): Promise<void> {
  const staging = stagingTable(feed, workflowId);
  await prepareDomainTable(warehouse, feed);
  if ((await uuidOf(warehouse, staging)) !== undefined) return;
  const rows = rowsTable(feed);
  const build = buildTable(feed, workflowId, attempt);
  await warehouse.execute(`CREATE TABLE IF NOT EXISTS ${build.sql} AS ${rows.sql}`);
  await withStagingSettings(warehouse, build);
  if (condition !== undefined) {
    const columns = columnList((await readColumns(warehouse, rows)).map(({ name }) => name));
    await warehouse.executeOnce(
      `INSERT INTO ${build.sql} (${columns}) SELECT ${columns} FROM ${rows.sql} FINAL WHERE ${condition} SETTINGS insert_deduplicate = 0`,
    );
  }
  const [found] = await warehouse.query<{ n: string }>(
    `SELECT toString(count()) AS n FROM ${build.sql}`,
  );
  if (Number(found?.n ?? 0) !== expected) {
    throw new StageError("publish", "unverified", "what was staged is not what should stay", {
      seen: `${found?.n ?? 0} rows`,
      expected: `${expected} rows`,
    });
  }
  await renameOnce(warehouse, build, staging);
}

/**
 * Takes the rejects of a workflow out of sight, as if it had never loaded. They stay as marks without a record, as
 * healed ones do. Repeating it changes nothing.
 */
export async function hideRejects(
  { warehouse, feed, workflowId }: ChangeOptions,
  rejectedBy: string,
): Promise<void> {
  const columns = REJECT_COLUMNS.map(({ name }) => {
    if (name === "_healed_by") return quoteText(workflowId);
    return name === "record" || name === "value" ? "''" : quoteIdentifier(name);
  });
  const rejects = rejectsTable(feed).sql;
  await warehouse.copyRows(
    `INSERT INTO ${rejects} (${columnList(REJECT_COLUMNS.map(({ name }) => name))}) SELECT ${columns.join(", ")} FROM ${rejects} FINAL WHERE _workflow = ${quoteText(rejectedBy)} AND ${IS_OPEN_REJECT}`,
  );
}

/** Drops a domain table, its rejects and every table that was kept of it. Repeating it changes nothing. */
export async function purgeDomainTable(warehouse: Warehouse, feed: Feed): Promise<void> {
  await warehouse.execute(`DROP VIEW IF EXISTS ${domainTable(feed).sql} SYNC`);
  await warehouse.execute(`DROP TABLE IF EXISTS ${rowsTable(feed).sql} SYNC`);
  await warehouse.execute(`DROP TABLE IF EXISTS ${rejectsTable(feed).sql} SYNC`);
  for (const kept of await listKept(warehouse, feed)) {
    await warehouse.execute(`DROP TABLE IF EXISTS ${kept.sql} SYNC`);
  }
}
