import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { startLocalClickHouse } from "@sluice/local-clickhouse";

/** A real server for one test file. */
export interface Server extends AsyncDisposable {
  /** Runs a statement and gives its answer; throws what the server says. */
  query(sql: string, body?: Uint8Array): Promise<string>;
}

export async function startServer(): Promise<Server> {
  const dataDir = mkdtempSync(join(tmpdir(), "sluice-parse-"));
  const server = await startLocalClickHouse({ dataDir });
  const { name, password } = server.users.admin;
  const headers = { "X-ClickHouse-User": name, "X-ClickHouse-Key": password };
  return {
    async query(sql, body = new Uint8Array(0)) {
      const url = `${server.url}/?query=${encodeURIComponent(sql)}&wait_end_of_query=1`;
      // A connection of its own: the server may close a kept one at the moment of the next request.
      const asked = request(url, { method: "POST", headers, agent: false }).end(body);
      const [answer]: IncomingMessage[] = await once(asked, "response");
      if (answer === undefined) throw new Error("no answer");
      const told = await text(answer);
      if (answer.statusCode !== 200) throw new Error(told);
      return told;
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
