import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.admin("CREATE DATABASE long");
  await server.admin("CREATE TABLE long.t (n UInt64) ENGINE = MergeTree ORDER BY n");
}, 60_000);
afterAll(async () => await server.stop());

/** Hashes so many numbers, and writes one row. */
const hashing = (mark: string, count: number): string =>
  `INSERT INTO long.t SELECT max(sipHash64(number)) AS ${mark} FROM numbers(${count})`;

const running = async (mark: string): Promise<number> => {
  const found = await server.rows(
    `SELECT 1 FROM system.processes WHERE query LIKE 'INSERT%${mark}%'`,
  );
  return found.length;
};
const WAIT = { timeout: 40_000, interval: 200 };

describe("a long statement", () => {
  test("is ended by the server once its caller gave it up", async () => {
    const caller = new AbortController();
    const ended = server.warehouse
      .executeLong(hashing("given_up", 1e13), caller.signal)
      .catch((error: unknown) => error);
    await expect.poll(() => running("given_up"), WAIT).toBe(1);
    const reason = new Error("nobody waits for it");
    caller.abort(reason);
    expect(await ended).toBe(reason);
    await expect.poll(() => running("given_up"), WAIT).toBe(0);
  });

  test("is ended by the server once its connection is gone, and goes on while there is one", async () => {
    const warehouse = server.connect();
    const ended = warehouse.executeLong(hashing("closed", 1e13)).catch((error: unknown) => error);
    await expect.poll(() => running("closed"), WAIT).toBe(1);
    await warehouse.close();
    expect(await ended).toMatchObject({ stage: "load" });
    await expect.poll(() => running("closed"), WAIT).toBe(0);
  });

  test("fails as any other, also when the server had begun to answer", async () => {
    await server.admin("TRUNCATE TABLE long.t");
    const late =
      "INSERT INTO long.t SELECT throwIf(sleepEachRow(1) + number = 13) FROM numbers(20) SETTINGS max_block_size = 1";
    await expect(server.warehouse.executeLong(late)).rejects.toMatchObject({
      code: "rejected",
      message: expect.stringContaining("395"),
    });
  });
});
