import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type LocalClickHouse, startLocalClickHouse } from "@sluice/local-clickhouse";
import { createByteBudget } from "@sluice/streams";
import { afterAll, beforeAll, expect, test } from "vitest";
import { batch } from "../src/index.ts";
import { offsetOf, type Row, toEntry } from "./blocks.ts";

const dataDir = mkdtempSync(join(tmpdir(), "sluice-batch-"));
let server: LocalClickHouse;
beforeAll(async () => {
  server = await startLocalClickHouse({ dataDir });
}, 60_000);
afterAll(async () => {
  await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function query(sql: string, body: Uint8Array = new Uint8Array(0)): Promise<string> {
  const { name, password } = server.users.admin;
  const headers = { "X-ClickHouse-User": name, "X-ClickHouse-Key": password };
  const url = `${server.url}/?query=${encodeURIComponent(sql)}`;
  // A connection of its own: the server may close a kept one at the moment of the next request.
  const asked = request(url, { method: "POST", headers, agent: false }).end(body);
  const [answer]: IncomingMessage[] = await once(asked, "response");
  if (answer === undefined) throw new Error("no answer");
  const told = await text(answer);
  if (answer.statusCode !== 200) throw new Error(told);
  return told;
}

test("ClickHouse reads every value of every batch, nulls and faults included", async () => {
  const rows: Row[] = Array.from({ length: 1000 }, (_, i) =>
    i % 50 === 7
      ? { fault: `fault ${i}` }
      : [i % 3 === 0 ? null : `é𝄞 ${i}`, "", i % 11 === 0 ? "x".repeat(5000) : "line\nbreak\0"],
  );
  const columns =
    "c0 Nullable(String), c2 Nullable(String), c1 Nullable(String), _row UInt64, _offset UInt64, _fault_code Nullable(String), _fault_message Nullable(String), _fault_raw Nullable(String)";
  await query(`CREATE TABLE batches (${columns}) ENGINE = Memory`);
  const run = batch({ columns: [0, 2, 1], budget: createByteBudget(2 ** 30), maxRows: 333 });
  for await (const { body, release } of run(toEntry(rows, 3, 100))) {
    await query(
      `INSERT INTO batches SELECT * FROM input('${columns}') FORMAT ArrowStream`,
      Buffer.concat(body),
    );
    release();
  }
  const answer = await query("SELECT * FROM batches ORDER BY _row FORMAT JSONCompactEachRow");
  const read = answer
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(read).toEqual(
    rows.map((row, i) => [
      ...("fault" in row ? [null, null, null] : [row[0], row[2], row[1]]),
      i + 1,
      offsetOf(i),
      ...("fault" in row ? ["malformed", row.fault, `<${row.fault}>`] : [null, null, null]),
    ]),
  );
});
