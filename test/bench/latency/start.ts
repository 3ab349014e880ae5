import { atMost, spreadOf } from "../result.ts";
import { runOurs } from "../run-case.ts";
import { withCsvCourier } from "./csv-courier.ts";
import type { Latency } from "./index.ts";

const MAX_MS = 500;

/** From the call of a run to the end of its first insert that wrote rows into staging, by ClickHouse's own log. */
export const START: Latency = {
  name: "start",
  async measure(stack, { rounds, scale, tell }) {
    return await withCsvCourier(stack, "start", scale, async (prepared) => {
      const found: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const began = Date.now();
        const { workflow } = await runOurs(stack, prepared);
        const inserted = await firstInsert(workflow.id);
        tell(`start: ${(inserted - began).toFixed(0)} ms`);
        found.push(inserted - began);
      }
      const ms = spreadOf(found);
      return {
        kind: "latency",
        case: "start",
        data: "from the call of a run to its first rows in the staging table, of the csv case",
        ms: { run: ms },
        refused: {},
        checks: [atMost("ms to the first row", ms.median, MAX_MS)],
      };
    });

    async function firstInsert(workflowId: string): Promise<number> {
      await stack.clickhouse.command({ query: "SYSTEM FLUSH LOGS" });
      const answer = await stack.clickhouse.query({
        query: `SELECT min(toUnixTimestamp64Micro(event_time_microseconds)) / 1000 AS ms, count() AS inserts
          FROM system.query_log WHERE type = 'QueryFinish' AND query_kind = 'Insert' AND written_rows > 0 AND startsWith(query_id, {workflow:String})`,
        query_params: { workflow: workflowId },
        format: "JSONEachRow",
      });
      const [row] = await answer.json<{ ms: number; inserts: string }>();
      if (row === undefined || Number(row.inserts) === 0) throw new Error("no insert was logged");
      return row.ms;
    }
  },
};
