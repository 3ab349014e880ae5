import { PGlite } from "@electric-sql/pglite";
import { Kysely, PGliteDialect, sql } from "kysely";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { preparedPglite } from "../src/database/prepared-pglite.ts";

interface Tables {
  thing: { id: number; name: string | null };
}

let pglite: PGlite;
let kysely: Kysely<Tables>;
beforeAll(async () => {
  pglite = await PGlite.create();
  kysely = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite: preparedPglite(pglite) }) });
}, 60_000);
beforeEach(async () => {
  await pglite.exec(
    "drop table if exists thing; create table thing (id int primary key, name text)",
  );
});
afterAll(async () => await kysely.destroy());

const insert = async (id: number, name: string | null = null): Promise<unknown> =>
  await kysely.insertInto("thing").values({ id, name }).execute();
const count = async (): Promise<number> => {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from thing`.execute(kysely);
  return rows[0]?.n ?? -1;
};

test("a statement is prepared once, however often it is used", async () => {
  for (let id = 0; id < 20; id++) await insert(id);
  const { rows } = await pglite.query<{ statement: string }>(
    "select statement from pg_prepared_statements where statement like 'insert into \"thing\"%'",
  );
  expect(rows).toHaveLength(1);
  expect(await count()).toBe(20);
});

test("a statement that fails leaves the next ones as they are, in a transaction and outside", async () => {
  await insert(1);
  await expect(insert(1)).rejects.toMatchObject({ code: "23505", constraint: "thing_pkey" });
  await insert(2);
  await expect(
    kysely.transaction().execute(async (trx) => {
      await trx.insertInto("thing").values({ id: 3, name: null }).execute();
      await trx.insertInto("thing").values({ id: 1, name: null }).execute();
    }),
  ).rejects.toMatchObject({ code: "23505" });
  await insert(4);
  expect(await count()).toBe(3);
  await expect(sql`select nothing from thing`.execute(kysely)).rejects.toMatchObject({
    code: "42703",
  });
});

test("who caught an error within a transaction is told that nothing was kept", async () => {
  await insert(1);
  await expect(
    kysely.transaction().execute(async (trx) => {
      await trx.insertInto("thing").values({ id: 2, name: null }).execute();
      await trx
        .insertInto("thing")
        .values({ id: 1, name: null })
        .execute()
        .catch(() => undefined);
    }),
  ).rejects.toThrow();
  expect(await count()).toBe(1);
});

test("a transaction has the database for itself", async () => {
  let others: Promise<unknown> | undefined;
  await kysely.transaction().execute(async (trx) => {
    others = insert(2);
    for (let turn = 0; turn < 10; turn++) {
      await trx.selectFrom("thing").selectAll().execute();
    }
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from thing`.execute(trx);
    expect(rows[0]?.n).toBe(0);
  });
  await others;
  expect(await count()).toBe(1);
});

test("a statement is right again after its table was changed", async () => {
  const all = async (): Promise<unknown> =>
    await kysely
      .selectFrom("thing")
      .selectAll()
      .execute()
      .catch((error: unknown) => error);
  for (let id = 0; id < 8; id++) await insert(id);
  await all();
  await pglite.exec("alter table thing add column more int default 5");
  await all();
  expect(await all()).toContainEqual({ id: 1, name: null, more: 5 });
});

test("more different statements than are kept all work, and the server keeps no more", async () => {
  for (let n = 0; n < 600; n++) {
    const { rows } = await sql<{ n: number }>`select ${sql.raw(String(n))}::int as n`.execute(
      kysely,
    );
    expect(rows).toEqual([{ n }]);
  }
  const { rows } = await pglite.query<{ n: number }>(
    "select count(*)::int as n from pg_prepared_statements",
  );
  expect(rows[0]?.n).toBeLessThanOrEqual(500);
}, 60_000);

test("a plan that was made for a small table is made anew once the table is large", async () => {
  const find = async (id: number): Promise<unknown> =>
    await kysely.selectFrom("thing").selectAll().where("id", "=", id).execute();
  await insert(0, "small");
  await pglite.exec("analyze thing");
  for (let turn = 0; turn < 10; turn++) await find(0);
  await sql`insert into thing select n, 'large' from generate_series(1, 20000) as n`.execute(
    kysely,
  );
  await find(7);
  const scans = async (): Promise<number> => {
    await pglite.exec("select pg_stat_force_next_flush()");
    const { rows } = await pglite.query<{ n: number }>(
      "select seq_tup_read::int as n from pg_stat_user_tables where relname = 'thing'",
    );
    return rows[0]?.n ?? -1;
  };
  const before = await scans();
  expect(await find(9)).toEqual([{ id: 9, name: "large" }]);
  expect((await scans()) - before).toBeLessThan(100);
});

test("many rows in one statement are written as well", async () => {
  const values = Array.from({ length: 2_000 }, (_, id) => ({ id, name: `name ${id}` }));
  await kysely.insertInto("thing").values(values).execute();
  expect(await count()).toBe(2_000);
});
