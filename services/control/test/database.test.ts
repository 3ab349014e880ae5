import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database/database.ts";
import { takeLockFile } from "../src/database/lock-file.ts";
import { liveInspectUrls, recordWorker } from "../src/workers.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";

describe.each(DATABASES.map((kind) => [kind.name, kind] as const))("on %s", (_name, kind) => {
  describe.skipIf(kind.absent !== undefined)("the database", () => {
    let place: TestDatabase;
    let database: Database;
    const open = (): Promise<Database> =>
      openDatabase(
        place.databaseUrl === undefined
          ? { dataDir: place.dataDir }
          : { databaseUrl: place.databaseUrl },
      );

    beforeAll(async () => {
      place = await kind.create();
      database = await open();
    }, 120_000);
    afterAll(async () => {
      await database?.close();
      await place?.remove();
    });

    test("reads the same types whatever keeps them", async () => {
      const { rows } = await sql<Record<string, unknown>>`
        select 9007199254740991::int8 as big, 1.50::numeric as exact, date '2026-02-28' as day,
          '{"a":[1]}'::jsonb as json, '\\x00ff'::bytea as bytes, array['a', 'b'] as texts,
          timestamptz '2026-01-02T03:04:05.678Z' as at`.execute(database.kysely);
      const [row] = rows;
      expect(row).toMatchObject({
        big: 9_007_199_254_740_991,
        exact: "1.50",
        day: "2026-02-28",
        json: { a: [1] },
        texts: ["a", "b"],
        at: new Date("2026-01-02T03:04:05.678Z"),
      });
      expect(Buffer.from(row?.bytes as Uint8Array).toString("hex")).toBe("00ff");
    });

    test("refuses a whole number that would lose digits", async () => {
      await expect(
        sql`select 9007199254740993::int8 as n`.execute(database.kysely),
      ).rejects.toThrow("not a safe integer");
    });

    test("a version of a feed never changes", async () => {
      const now = { tenant: "t", etag: "e" };
      await database.kysely
        .insertInto("source")
        .values({ ...now, id: "s", name: "s", name_key: "s" })
        .execute();
      await database.kysely
        .insertInto("feed")
        .values({
          ...now,
          id: "f",
          source_id: "s",
          name: "f",
          name_key: "f",
          version: 1,
          draft: null,
        })
        .execute();
      await database.kysely
        .insertInto("feed_version")
        .values({ tenant: "t", feed_id: "f", version: 1, spec: "{}" })
        .execute();
      await expect(
        sql`update feed_version set spec = '{"x":1}'`.execute(database.kysely),
      ).rejects.toThrow("never changes");
    });

    test("the worker that was seen last comes first", async () => {
      await recordWorker(database.kysely, "t", "a", "http://a");
      await recordWorker(database.kysely, "t", "b", "http://b");
      await recordWorker(database.kysely, "t", "silent", "");
      expect(await liveInspectUrls(database.kysely, "t")).toEqual(["http://b", "http://a"]);
      await recordWorker(database.kysely, "t", "a", "http://a");
      expect(await liveInspectUrls(database.kysely, "t")).toEqual(["http://a", "http://b"]);
      await sql`update worker set seen_time = now() - interval '1 hour'`.execute(database.kysely);
      expect(await liveInspectUrls(database.kysely, "t")).toEqual([]);
      expect(await liveInspectUrls(database.kysely, "other")).toEqual([]);
    });

    test("transactions that run at once keep apart", async () => {
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          database.kysely
            .transaction()
            .execute(async (transaction) => {
              await transaction
                .insertInto("source")
                .values({ tenant: "p", id: `${index}`, name: "n", name_key: `${index}`, etag: "e" })
                .execute();
              if (index % 2 === 1) {
                return "kept";
              }
              throw new Error("given up");
            })
            .catch(() => "gone"),
        ),
      );
      const rows = await database.kysely
        .selectFrom("source")
        .select("id")
        .where("tenant", "=", "p")
        .orderBy("id")
        .execute();
      expect(results.filter((result) => result === "kept")).toHaveLength(4);
      expect(rows.map((row) => row.id)).toEqual(["1", "3", "5", "7"]);
    });

    test("opened again, it keeps its rows and applies nothing twice", async () => {
      await database.close();
      database = await open();
      const { rows } = await sql<{
        name: string;
      }>`select name from migration order by name`.execute(database.kysely);
      expect(rows.map((row) => row.name)).toEqual(
        readdirSync(new URL("../src/database/migrations/", import.meta.url)).sort(),
      );
      const kept = await database.kysely.selectFrom("feed").select("id").execute();
      expect(kept).toEqual([{ id: "f" }]);
    }, 60_000);

    test("refuses a database whose migration was changed, or is not known", async () => {
      await sql`update migration set sha256 = 'x' where name like '0001%'`.execute(database.kysely);
      await database.close();
      await expect(open()).rejects.toThrow("0001_resources.sql was changed");
    }, 60_000);
  });
});

describe("the lock of a data directory", () => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-lock-"));
  const path = join(directory, "control.lock");
  afterAll(() => rmSync(directory, { recursive: true }));

  test("is held once, and free again after its release", () => {
    const lock = takeLockFile(path);
    expect(() => takeLockFile(path)).toThrow("held by this process");
    lock.release();
    takeLockFile(path).release();
    expect(readdirSync(directory)).toEqual([]);
  });

  test("keeps out while another process lives, and is taken over when it is gone", async () => {
    const module = new URL("../src/database/lock-file.ts", import.meta.url).href;
    const script = `import { takeLockFile } from ${JSON.stringify(module)};
      takeLockFile(process.argv[1]); console.log("taken"); process.stdin.resume();`;
    const other = spawn(process.execPath, ["--input-type=module", "-e", script, path], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(other.stdout, "data");
    expect(() => takeLockFile(path)).toThrow(`held by process ${other.pid}`);
    other.kill("SIGKILL");
    await once(other, "exit");
    takeLockFile(path).release();
  });

  test("is taken over when its process id now belongs to somebody else", () => {
    writeFileSync(path, JSON.stringify({ pid: 1, started: "another boot/1" }));
    const taken = () => takeLockFile(path).release();
    if (process.platform === "linux") {
      taken();
    } else {
      expect(taken).toThrow("held by process 1");
      rmSync(path);
    }
  });

  test("never takes a file for a lock that is none", () => {
    writeFileSync(path, "notes");
    expect(() => takeLockFile(path)).toThrow("not a lock file");
    expect(readFileSync(path, "utf8")).toBe("notes");
    rmSync(path);
  });
});
