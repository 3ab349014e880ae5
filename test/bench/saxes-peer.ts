import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { selectRows } from "./data/columns.ts";
import type { Peer } from "./peers.ts";

/**
 * The parser alone, on the bytes of the object: it loads nothing, so ours is compared with the rows that the file was made
 * of, which are put into the peer's table once.
 */
export function saxesPeer(): Peer {
  const filled = new Set<string>();
  return {
    name: "saxes alone, no load",
    keepsTable: true,
    async run({ urls: [url], accessKeyId, secretAccessKey, table, columns, rows, sql }) {
      if (!filled.has(table)) {
        filled.add(table);
        await sql(`INSERT INTO ${table} ${selectRows(columns, rows)}`);
      }
      const worker = new Worker(new URL("./saxes-thread.ts", import.meta.url), {
        workerData: { url, accessKeyId, secretAccessKey, element: "row" },
      });
      const [seen] = await once(worker, "message");
      await worker.terminate();
      if (seen !== rows) throw new Error(`saxes saw ${seen} records of ${rows}`);
    },
  };
}
