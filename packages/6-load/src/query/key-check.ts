import { StageError } from "@sluice/errors";
import type { Feed } from "@sluice/schema";
import { quoteIdentifier } from "../quoting.ts";
import type { TableName } from "../table-names.ts";
import type { Warehouse } from "../warehouse.ts";

/**
 * Looks for rows of a result that have one primary key. Rows of a query have no order, so nothing says which of them
 * is the newer: `cast.duplicate_key`. A feed with a last-updated field says it, unless two have the same; then the
 * newest counts, and a warning tells of the others.
 */
export async function countRepeatedKeys(
  warehouse: Warehouse,
  feed: Feed,
  rows: TableName,
): Promise<string[]> {
  const key = feed.primaryKey.map(quoteIdentifier).join(", ");
  const [found] = await warehouse.query<{ keys: string; rows: string; ties: string }>(
    "SELECT toString(count()) AS keys, toString(sum(n)) AS rows, toString(countIf(n > updates)) AS ties " +
      `FROM (SELECT count() AS n, uniqExact(bitShiftRight(_updated, 64)) AS updates FROM ${rows.sql} GROUP BY ${key} HAVING n > 1)`,
  );
  const keys = Number(found?.keys ?? 0);
  if (keys === 0) return [];
  const said = `${keys} primary keys (${feed.primaryKey.join(", ")}) stand in ${found?.rows} rows of the ingest query's result`;
  const ties = Number(found?.ties ?? 0);
  if (feed.lastUpdatedField !== undefined && ties === 0) {
    return [`${said}: the row of the latest ${feed.lastUpdatedField} counts`];
  }
  const which =
    feed.lastUpdatedField === undefined
      ? "and nothing says which of them is the newest"
      : `and of ${ties} of them no single row has the latest ${feed.lastUpdatedField}`;
  throw new StageError("cast", "duplicate_key", `${said}, ${which}`, {
    column: feed.primaryKey.join(", "),
    seen: `${found?.rows} rows`,
    expected: `${keys} rows`,
  });
}
