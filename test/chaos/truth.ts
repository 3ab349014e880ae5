import type { Row } from "./data.ts";
import type { Stack } from "./stack.ts";

/** What tables have to hold, kept beside them: written by the generator's own client, read by SQL alone. */

const TRUTH = "chaos_truth.rows";
const HASH = "cityHash64(id, name, amount, day)";
const DIGEST = `concat(toString(count()), ' rows ', toString(groupBitXor(${HASH})), '/', toString(sum(${HASH})))`;

export async function createTruth(stack: Stack): Promise<void> {
  await stack.clickhouse.command({ query: "CREATE DATABASE IF NOT EXISTS chaos_truth" });
  await stack.clickhouse.command({
    query: `CREATE TABLE IF NOT EXISTS ${TRUTH} (truth String, id String, name String, amount String, day String) ENGINE = MergeTree ORDER BY truth`,
  });
}

export async function writeTruth(stack: Stack, name: string, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  await stack.clickhouse.insert({
    table: TRUTH,
    format: "JSONEachRow",
    values: rows.map((row) => ({ ...row, truth: name })),
    clickhouse_settings: { async_insert: 0 },
  });
}

/** Never null: a digest over nulls is null. */
const COLUMNS = ["id", "name", "amount", "day"]
  .map((name) => `ifNull(toString(t.${name}), '') AS ${name}`)
  .join(", ");
const truthRows = (name: string): string =>
  `SELECT id, name, amount, day FROM ${TRUTH} WHERE truth = '${name}'`;
const tableRows = (table: string): string => `SELECT ${COLUMNS} FROM ${table} AS t`;

async function digestOf(stack: Stack, source: string): Promise<string> {
  const [row] = await stack.rows<{ digest: string }>(`SELECT ${DIGEST} AS digest FROM (${source})`);
  return row?.digest ?? "";
}

/** One text for a set of rows in whatever order; two rows that are equal count twice. */
export const digestOfTruth = async (stack: Stack, name: string): Promise<string> =>
  await digestOf(stack, truthRows(name));
export const digestOfTable = async (stack: Stack, table: string): Promise<string> =>
  await digestOf(stack, tableRows(table));

/** How a table differs from the truth, as multisets. */
export interface Difference {
  /** Rows whose id is too rare, or not there. */
  readonly lost: number;
  /** Rows whose id is too frequent. */
  readonly extra: number;
  /** Rows of the right number with another content. */
  readonly changed: number;
}

export async function compare(stack: Stack, table: string, name: string): Promise<Difference> {
  const [found] = await stack.rows<Difference>(
    `SELECT sumIf(toInt64(-n), n < 0) AS lost, sumIf(toInt64(n), n > 0) AS extra, sumIf(toInt64(wrong), n = 0) AS changed
     FROM (
       SELECT id, sum(k) AS n, sum(abs(k)) / 2 AS wrong FROM (
         SELECT id, name, amount, day, sum(side) AS k FROM (
           SELECT *, toInt64(1) AS side FROM (${tableRows(table)})
           UNION ALL SELECT *, toInt64(-1) AS side FROM (${truthRows(name)})
         ) GROUP BY id, name, amount, day
       ) GROUP BY id
     )`,
  );
  return {
    lost: Number(found?.lost ?? 0),
    extra: Number(found?.extra ?? 0),
    changed: Number(found?.changed ?? 0),
  };
}

/** Rows of a workflow below the view, and how many places in files they come from: merges are stopped there. */
export async function countLineage(
  stack: Stack,
  table: string,
  workflowId: string,
): Promise<{ readonly rows: number; readonly places: number }> {
  const [found] = await stack.rows<{ rows: number; places: number }>(
    `SELECT count() AS rows, uniqExact(_file, _entry, _row) AS places FROM ${table}__rows WHERE _workflow = '${workflowId}'`,
  );
  return { rows: Number(found?.rows ?? 0), places: Number(found?.places ?? 0) };
}
