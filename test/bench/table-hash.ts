import { setTimeout } from "node:timers/promises";
import type { ClickHouseClient } from "@clickhouse/client";

export interface TableHash {
  readonly rows: number;
  /** The same for the same rows in any order. */
  readonly hash: string;
}

export async function hashOf(
  clickhouse: ClickHouseClient,
  table: string,
  columns: readonly string[],
): Promise<TableHash> {
  // A null is told from the value that stands in for it.
  const values = columns.flatMap((name) => [
    `ifNull(${name}, defaultValueOfArgumentType(assumeNotNull(${name})))`,
    `isNull(${name})`,
  ]);
  const answer = await clickhouse.query({
    query: `SELECT toString(count()) AS rows, toString(sum(sipHash64(${values.join(", ")}))) AS hash FROM ${table}`,
    format: "JSONEachRow",
  });
  const [found] = await answer.json<{ rows: string; hash: string }>();
  if (found === undefined) throw new Error("ClickHouse gave no hash");
  return { rows: Number(found.rows), hash: found.hash };
}

const LONGEST_MERGES_MS = 300_000;

/** Waits until no merge runs and no private table is left: what one side leaves to be done must not slow the other. */
export async function quiet(clickhouse: ClickHouseClient, database: string): Promise<void> {
  const until = performance.now() + LONGEST_MERGES_MS;
  let calm = 0;
  while (calm < 3 && performance.now() < until) {
    const answer = await clickhouse.query({
      query: `SELECT (SELECT count() FROM system.merges WHERE database = '${database}') > 0
        OR (SELECT count() FROM system.tables WHERE database = '${database}' AND match(name, '__(stg|pub)_')) > 0 AS busy`,
      format: "JSONEachRow",
    });
    const [found] = await answer.json<{ busy: number }>();
    calm = found?.busy ? 0 : calm + 1;
    await setTimeout(200);
  }
}
