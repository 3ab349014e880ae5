import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
      const answer = await fetch(url, { method: "POST", headers, body: Buffer.from(body) });
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(text);
      return text;
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
