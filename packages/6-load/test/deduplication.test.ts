import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "./server.ts";

/** What our repetition of inserts is built on: facts of the server, which it has changed before. */

let house: TestServer;
let table = "";
let tables = 0;
beforeAll(async () => {
  house = await startTestServer();
});
afterAll(async () => await house.stop());
beforeEach(() => {
  table = `default.dedup_${++tables}`;
});

const create = async (window: number, more = ""): Promise<void> =>
  await house.admin(
    `CREATE TABLE ${table} (id UInt64, p UInt8) ENGINE = MergeTree ${more} ORDER BY id SETTINGS non_replicated_deduplication_window = ${window}`,
  );
const insert = async (
  token: string,
  values: string,
  settings = "async_insert = 0",
): Promise<void> =>
  await house.admin(
    `INSERT INTO ${table} SETTINGS insert_deduplication_token = '${token}', ${settings} VALUES ${values}`,
  );
const count = async (from = table): Promise<number> => {
  const [row] = await house.rows<{ n: string }>(`SELECT toString(count()) AS n FROM ${from}`);
  return Number(row?.n);
};

describe("an insert that is repeated under its token", () => {
  test("lands once, and says so with the rows that it would have written", async () => {
    await create(100);
    await insert("a", "(1, 1), (2, 1)");
    await insert("a", "(1, 1), (2, 1)");
    expect(await count()).toBe(2);
  });

  test("lands once also when its rows are others: so the token has to hold what the content is", async () => {
    await create(100);
    await insert("a", "(1, 1), (2, 1)");
    await insert("a", "(3, 1), (4, 1), (5, 1)");
    expect(await house.rows(`SELECT id FROM ${table} ORDER BY id`)).toMatchObject([
      { id: 1 },
      { id: 2 },
    ]);
  });

  test("lands twice once as many others came as the window holds", async () => {
    await create(2);
    await insert("a", "(1, 1)");
    for (const other of ["b", "c", "d"]) await insert(other, "(2, 1)");
    await insert("a", "(1, 1)");
    expect(await count()).toBe(5);
  });

  test("lands once over a server that was killed in between", async () => {
    await create(100);
    await insert("a", "(1, 1)");
    await house.crash();
    await house.restart();
    await insert("a", "(1, 1)");
    expect(await count()).toBe(1);
  });

  test("lands once in every partition that it spans", async () => {
    await create(100, "PARTITION BY p");
    await insert("a", "(1, 1), (2, 2)");
    await insert("a", "(1, 1), (2, 2)");
    expect(await count()).toBe(2);
  });

  test("lands once below a materialized view as well", async () => {
    await create(100);
    await house.admin(
      `CREATE TABLE ${table}_copy (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100`,
    );
    await house.admin(
      `CREATE MATERIALIZED VIEW ${table}_view TO ${table}_copy AS SELECT id FROM ${table}`,
    );
    const settings = "async_insert = 0, deduplicate_blocks_in_dependent_materialized_views = 1";
    await insert("a", "(1, 1), (2, 1)", settings);
    await insert("a", "(1, 1), (2, 1)", settings);
    expect([await count(), await count(`${table}_copy`)]).toEqual([2, 2]);
  });

  test("lands once as an asynchronous one, which ours never are", async () => {
    await create(100);
    const settings = "async_insert = 1, wait_for_async_insert = 1";
    await insert("a", "(1, 1)", settings);
    await insert("a", "(1, 1)", settings);
    expect(await count()).toBe(1);
  });
});

test("without a window nothing is deduplicated", async () => {
  await create(0);
  await insert("a", "(1, 1)");
  await insert("a", "(1, 1)");
  expect(await count()).toBe(2);
});
