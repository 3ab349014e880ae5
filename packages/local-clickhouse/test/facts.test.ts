import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LocalClickHouse, type LocalUser, startLocalClickHouse } from "../src/index.ts";
import { answered, ask } from "./ask.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const START_LIMIT_MS = 60_000;
const UNKNOWN_TABLE = 60;
const ROWS = 300_000;

/**
 * What the load protocol takes for granted about the server, as the loader's
 * user. A test that fails on a new version says which step of the protocol to think through again.
 */
describe("ClickHouse, for the load protocol", { timeout: START_LIMIT_MS }, () => {
  const directory = temporaryDirectory();
  let server: LocalClickHouse;
  let loader: LocalUser;
  const run = (sql: string, question = {}) => answered(server, loader, sql, question);
  const count = async (table: string) => Number(await run(`SELECT count() FROM ${table}`));
  const rowsTable = (name: string) =>
    run(
      `CREATE TABLE facts.${name} (id Int64, v String, _updated UInt128) ENGINE = ReplacingMergeTree(_updated) ORDER BY id SETTINGS non_replicated_deduplication_window = 1000`,
    );
  const insert = (table: string, rows: string, token: string) =>
    ask(server, loader, `INSERT INTO facts.${table} FORMAT TSV`, {
      data: Buffer.from(rows),
      parameters: { insert_deduplication_token: token },
    });
  /** `number` from 0 to ROWS - 1, as text, in the order of the file. */
  const file = async (format: string, groupRows: number = ROWS) =>
    (
      await ask(
        server,
        loader,
        `SELECT toString(number) AS a FROM numbers(${ROWS}) FORMAT ${format}`,
        {
          parameters: {
            output_format_parquet_row_group_size: groupRows,
            output_format_parquet_row_group_size_bytes: 1_000_000_000,
            max_block_size: groupRows,
          },
        },
      )
    ).body;

  beforeAll(async () => {
    server = await startLocalClickHouse({ dataDir: directory.path });
    loader = server.users.loader;
    await run("CREATE DATABASE facts");
  }, START_LIMIT_MS);
  afterAll(async () => {
    await server.stop();
    directory[Symbol.dispose]();
  }, START_LIMIT_MS);

  test("stores a batch once that is sent twice with one token, and answers alike", async () => {
    await rowsTable("twice");
    for (const attempt of [1, 2]) {
      const answer = await insert("twice", "1\ta\t1\n2\tb\t1\n", "batch-1");
      expect([attempt, answer.status, answer.code, answer.writtenRows]).toEqual([
        attempt,
        200,
        0,
        2,
      ]);
    }
    expect(await count("facts.twice")).toBe(2);
  });

  test("stores equal rows twice when their tokens differ", async () => {
    await rowsTable("tokens");
    await insert("tokens", "1\ta\t1\n", "batch-1");
    await insert("tokens", "1\ta\t1\n", "batch-2");
    expect(await count("facts.tokens")).toBe(2);
  });

  test("stores a batch twice without the deduplication window", async () => {
    await run("CREATE TABLE facts.no_window (id Int64) ENGINE = MergeTree ORDER BY id");
    await insert("no_window", "1\n", "batch-1");
    await insert("no_window", "1\n", "batch-1");
    expect(await count("facts.no_window")).toBe(2);
  });

  test("drops other rows silently when their token was used before", async () => {
    await rowsTable("beats");
    await insert("beats", "1\ta\t1\n", "batch-1");
    const other = await insert("beats", "2\tb\t1\n3\tc\t1\n", "batch-1");
    expect([other.status, other.code, other.writtenRows]).toEqual([200, 0, 2]);
    expect(await run("SELECT id FROM facts.beats")).toBe("1");
  });

  test("forgets a token that is older than the window", async () => {
    await run(
      "CREATE TABLE facts.window (id Int64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 2",
    );
    for (const token of ["a", "b", "c", "a"]) await insert("window", "1\n", token);
    expect(await count("facts.window")).toBe(4);
  });

  test("remembers tokens over a restart, and over a crash", async () => {
    await rowsTable("restart");
    await insert("restart", "1\ta\t1\n", "batch-1");
    await server.stop();
    server = await startLocalClickHouse({ dataDir: directory.path });
    await insert("restart", "1\ta\t1\n", "batch-1");
    expect(await count("facts.restart")).toBe(1);
    await insert("restart", "2\tb\t1\n", "batch-2");
    server.kill();
    await server.exited;
    server = await startLocalClickHouse({ dataDir: directory.path });
    await insert("restart", "2\tb\t1\n", "batch-2");
    expect(await count("facts.restart")).toBe(2);
  });

  test("swaps two tables and their UUIDs by EXCHANGE, which repeated undoes itself", async () => {
    await rowsTable("left");
    await rowsTable("right");
    const uuids = () =>
      run(
        "SELECT groupArray(uuid) FROM (SELECT uuid FROM system.tables WHERE database = 'facts' AND name IN ('left', 'right') ORDER BY name)",
      );
    const before = await uuids();
    await run("EXCHANGE TABLES facts.left AND facts.right");
    const swapped = await uuids();
    expect(swapped).not.toBe(before);
    expect([...swapped].sort()).toEqual([...before].sort());
    await run("EXCHANGE TABLES facts.left AND facts.right");
    expect(await uuids()).toBe(before);
  });

  test("keeps a view on the name of a table that is exchanged under it", async () => {
    await rowsTable("domain__rows");
    await rowsTable("staged");
    await run("CREATE VIEW facts.domain AS SELECT * FROM facts.domain__rows FINAL");
    await insert("staged", "1\tnew\t1\n", "batch-1");
    await run("EXCHANGE TABLES facts.staged AND facts.domain__rows");
    expect(await run("SELECT v FROM facts.domain")).toBe("new");
  });

  test("moves all rows by MOVE PARTITION tuple(), and nothing when it is repeated", async () => {
    await rowsTable("from");
    await rowsTable("to");
    await insert("to", "1\told\t1\n", "batch-0");
    await insert("from", "1\tnew\t2\n", "batch-1");
    await insert("from", "2\tnew\t2\n", "batch-2");
    const move = "ALTER TABLE facts.from MOVE PARTITION tuple() TO TABLE facts.to";
    await run(move);
    await run(move);
    expect(await count("facts.from")).toBe(0);
    expect(await run("SELECT id, v FROM facts.to FINAL ORDER BY id FORMAT CSV")).toBe(
      '1,"new"\n2,"new"',
    );
  });

  test("counts a token as used in the staging table after its rows were moved away", async () => {
    await rowsTable("moved");
    await rowsTable("moved_to");
    await insert("moved", "1\ta\t1\n", "batch-1");
    await run("ALTER TABLE facts.moved MOVE PARTITION tuple() TO TABLE facts.moved_to");
    await insert("moved", "1\ta\t1\n", "batch-1");
    expect([await count("facts.moved"), await count("facts.moved_to")]).toEqual([0, 1]);
  });

  test("moves a partition for whoever has ALTER MOVE PARTITION, and exchanges for whoever may drop", async () => {
    await run("CREATE TABLE facts.needs (a Int8) ENGINE = MergeTree ORDER BY a");
    await run("CREATE TABLE facts.needs_to AS facts.needs");
    const { reader } = server.users;
    const move = "ALTER TABLE facts.needs MOVE PARTITION tuple() TO TABLE facts.needs_to";
    expect((await ask(server, reader, move)).text).toContain(
      "the grant ALTER MOVE PARTITION ON facts.needs",
    );
    const exchange = "EXCHANGE TABLES facts.needs AND facts.needs_to";
    expect((await ask(server, reader, exchange)).text).toContain(
      "the grant SELECT, DROP TABLE ON facts.needs",
    );
  });

  test("takes the newest version by FINAL, with a UInt128 version above 64 bits", async () => {
    await rowsTable("versions");
    const high = (2n ** 100n).toString();
    const higher = (2n ** 100n + 1n).toString();
    await insert("versions", `1\thigher\t${higher}\n`, "batch-1");
    await insert("versions", `1\thigh\t${high}\n`, "batch-2");
    await run("CREATE VIEW facts.versions_seen AS SELECT * FROM facts.versions FINAL");
    expect(await run("SELECT v, _updated FROM facts.versions_seen FORMAT TSV")).toBe(
      `higher\t${higher}`,
    );
  });

  test.each(["ArrowStream", "Parquet"])(
    "deduplicates INSERT ... SELECT ... FROM input() of %s by its token",
    async (format) => {
      const table = `input_${format}`;
      await rowsTable(table);
      const data = await file(format);
      const sql = `INSERT INTO facts.${table} SELECT toInt64(a), a, 1 FROM input('a Nullable(String)') FORMAT ${format}`;
      const written: number[] = [];
      for (const _ of [1, 2]) {
        const parameters = { insert_deduplication_token: "batch-1" };
        const answer = await ask(server, loader, sql, { data, parameters });
        expect([answer.status, answer.code, answer.text]).toEqual([200, 0, ""]);
        written.push(answer.writtenRows);
      }
      expect(written).toEqual([ROWS, ROWS]);
      expect(await count(`facts.${table}`)).toBe(ROWS);
    },
  );

  // Without a setting, several row groups of one Parquet file come out of order, also with
  // max_threads = 1; how often depends on the machine, so that it is not a test.
  test.each([
    ["ArrowStream", "in one record batch", ROWS, {}],
    ["ArrowStream", "in ten record batches", ROWS / 10, {}],
    ["Parquet", "in one row group", ROWS, {}],
    [
      "Parquet",
      "in ten row groups, with input_format_parquet_preserve_order",
      ROWS / 10,
      { input_format_parquet_preserve_order: 1 },
    ],
    [
      "Parquet",
      "in ten row groups, with max_parsing_threads = 1",
      ROWS / 10,
      { max_parsing_threads: 1 },
    ],
  ])(
    "numbers the rows of %s in the file's order, %s",
    async (format, name, groupRows, settings) => {
      const table = `ordinals_${format}_${name.replaceAll(/\W/g, "_")}`;
      await run(
        `CREATE TABLE facts.${table} (a Int64, row UInt64, block UInt64) ENGINE = MergeTree ORDER BY a`,
      );
      const sql = `INSERT INTO facts.${table} SELECT toInt64(a), rowNumberInAllBlocks(), blockNumber() FROM input('a Nullable(String)') FORMAT ${format}`;
      const data = await file(format, groupRows);
      expect((await ask(server, loader, sql, { data, parameters: { ...settings } })).code).toBe(0);
      expect(await run(`SELECT count(), countIf(a != row) FROM facts.${table} FORMAT CSV`)).toBe(
        `${ROWS},0`,
      );
      if (groupRows < ROWS) {
        expect(Number(await run(`SELECT uniqExact(block) FROM facts.${table}`))).toBeGreaterThan(1);
      }
    },
  );

  test.each([
    ["ArrowStream", "its Content-Length not met"],
    ["ArrowStream", "reset"],
    ["Parquet", "its Content-Length not met"],
  ])(
    "stores no row of a %s body that is cut off, %s; the retry lands whole",
    async (format, way) => {
      const table = `cut_${format}_${way.length}`;
      await rowsTable(table);
      const data = await file(format);
      const sql = `INSERT INTO facts.${table} SELECT toInt64(a), a, 1 FROM input('a Nullable(String)') FORMAT ${format}`;
      const id = `cut-${table}`;
      const parameters = { insert_deduplication_token: "batch-1", query_id: id };
      const query = new URLSearchParams({ ...parameters, query: sql });
      const socket = connect(server.httpPort, "127.0.0.1");
      const closed = once(socket, "close");
      socket.on("error", () => {});
      socket.resume();
      await once(socket, "connect");
      const head = `POST /?${query} HTTP/1.1\r\nHost: x\r\nX-ClickHouse-User: ${loader.name}\r\nX-ClickHouse-Key: ${loader.password}\r\nContent-Length: ${data.length}\r\n\r\n`;
      await new Promise((resolve) =>
        socket.write(
          Buffer.concat([Buffer.from(head), data.subarray(0, data.length * 0.6)]),
          resolve,
        ),
      );
      const running = () => run(`SELECT count() FROM system.processes WHERE query_id = '${id}'`);
      await expect.poll(running, { timeout: 5_000 }).toBe("1");
      if (way === "reset") socket.resetAndDestroy();
      else socket.end();
      await closed;
      await expect.poll(running, { timeout: 5_000 }).toBe("0");
      expect(await count(`facts.${table}`)).toBe(0);
      const retried = await ask(server, loader, sql, {
        data,
        parameters: { insert_deduplication_token: "batch-1" },
      });
      expect([retried.code, retried.writtenRows]).toEqual([0, ROWS]);
      expect(await count(`facts.${table}`)).toBe(ROWS);
    },
  );

  test("stores an insert in one part, all or nothing, up to max_insert_block_size rows", async () => {
    await run("CREATE TABLE facts.parts (a UInt64) ENGINE = MergeTree ORDER BY a");
    const sizes = (rows: number) =>
      ask(server, loader, `INSERT INTO facts.parts SELECT number FROM numbers(${rows})`, {
        parameters: { max_threads: 1, optimize_on_insert: 0 },
      });
    const limit = Number(
      await run("SELECT value FROM system.settings WHERE name = 'max_insert_block_size'"),
    );
    expect(limit).toBe(1_048_449);
    const parts =
      "SELECT count() FROM system.parts WHERE database = 'facts' AND table = 'parts' AND active";
    await sizes(limit);
    expect(await run(parts)).toBe("1");
    await run("TRUNCATE TABLE facts.parts");
    await sizes(limit * 2);
    expect(await run(parts)).toBe("2");
  });

  test("calls a missing table UNKNOWN_TABLE: in RENAME, EXCHANGE, MOVE, INSERT and SELECT", async () => {
    await rowsTable("here");
    for (const sql of [
      "RENAME TABLE facts.missing TO facts.other",
      "EXCHANGE TABLES facts.missing AND facts.here",
      "ALTER TABLE facts.missing MOVE PARTITION tuple() TO TABLE facts.here",
      "INSERT INTO facts.missing SELECT 1",
      "SELECT * FROM facts.missing",
      "DROP TABLE facts.missing",
    ]) {
      expect([sql, (await ask(server, loader, sql)).code]).toEqual([sql, UNKNOWN_TABLE]);
    }
    expect((await ask(server, loader, "SELECT * FROM nowhere.missing")).code).toBe(81);
  });
});
