import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LocalClickHouse, type LocalUser, startLocalClickHouse } from "../src/index.ts";
import { answered, ask } from "./ask.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const ACCESS_DENIED = 497;
const START_LIMIT_MS = 60_000;

describe("the rights of a local ClickHouse's users", { timeout: START_LIMIT_MS }, () => {
  const directory = temporaryDirectory();
  let server: LocalClickHouse;
  let loader: LocalUser;
  let reader: LocalUser;
  let query: LocalUser;
  beforeAll(async () => {
    server = await startLocalClickHouse({ dataDir: directory.path });
    ({ loader, reader, query } = server.users);
    for (const sql of [
      "CREATE DATABASE acme",
      "CREATE TABLE acme.orders__rows (id Int64, _updated UInt128) ENGINE = ReplacingMergeTree(_updated) ORDER BY id SETTINGS non_replicated_deduplication_window = 1000",
      "INSERT INTO acme.orders__rows VALUES (1, 1)",
      // The loader may read system.parts; the reader, whose rights the view has, may not.
      "CREATE VIEW acme.beyond (file String) DEFINER = sluice_reader SQL SECURITY DEFINER AS SELECT name AS file FROM system.parts",
    ]) {
      await answered(server, loader, sql);
    }
  }, START_LIMIT_MS);
  afterAll(async () => {
    await server.stop();
    directory[Symbol.dispose]();
  }, START_LIMIT_MS);

  test.each([
    "CREATE VIEW acme.orders AS SELECT * FROM acme.orders__rows FINAL",
    "CREATE OR REPLACE VIEW acme.orders AS SELECT id FROM acme.orders__rows FINAL",
    "CREATE VIEW acme.lent DEFINER = sluice_reader SQL SECURITY DEFINER AS SELECT count() AS n FROM acme.orders",
    "SELECT n FROM acme.lent",
    "DROP VIEW acme.lent",
    "CREATE TABLE acme.staged AS acme.orders__rows",
    "CREATE TABLE acme.made ENGINE = MergeTree ORDER BY n AS SELECT number AS n FROM numbers(2)",
    "CREATE TABLE acme.split (a String) ENGINE = Null",
    "CREATE TABLE acme.good (a Int64) ENGINE = MergeTree ORDER BY a",
    "CREATE MATERIALIZED VIEW acme.to_good TO acme.good AS SELECT toInt64(a) AS a FROM acme.split",
    "INSERT INTO acme.split VALUES ('7')",
    "INSERT INTO acme.staged SELECT id + 1, 2 FROM acme.orders__rows",
    "ALTER TABLE acme.staged ADD COLUMN extra Nullable(String)",
    "ALTER TABLE acme.staged MODIFY COLUMN extra Nullable(FixedString(4))",
    "ALTER TABLE acme.staged DROP COLUMN extra",
    "ALTER TABLE acme.staged MODIFY SETTING non_replicated_deduplication_window = 500",
    "ALTER TABLE acme.staged MOVE PARTITION tuple() TO TABLE acme.orders__rows",
    "EXCHANGE TABLES acme.staged AND acme.orders__rows",
    "RENAME TABLE acme.staged TO acme.renamed",
    "TRUNCATE TABLE acme.renamed",
    "SELECT count() FROM acme.orders FINAL",
    "DESCRIBE TABLE acme.orders__rows",
    "EXISTS TABLE acme.orders__rows",
    "SHOW CREATE TABLE acme.orders__rows",
    "SELECT name, uuid, engine FROM system.tables WHERE database = 'acme'",
    "SELECT name, type FROM system.columns WHERE database = 'acme'",
    "SELECT name FROM system.databases",
    "SELECT sum(rows) FROM system.parts WHERE database = 'acme'",
    "SELECT query_id FROM system.processes",
    "SELECT mutation_id FROM system.mutations",
    "DROP VIEW acme.to_good",
    "DROP TABLE acme.renamed SYNC",
    "CREATE DATABASE other",
    "DROP DATABASE other",
  ])("let the loader: %s", async (sql) => {
    await answered(server, loader, sql);
  });

  const outside = [
    "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
    "SELECT * FROM file('/etc/passwd', LineAsString)",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/k', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1:1', system.one)",
    "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM sqlite('/tmp/x.db', 't')",
    "SELECT * FROM system.users",
    "SELECT * FROM system.grants",
    "SELECT * FROM system.server_settings",
    "SHOW CREATE USER admin",
    "SHOW ACCESS",
    "CREATE USER mallory",
    "ALTER USER admin IDENTIFIED BY 'x'",
    "DROP USER admin",
    "CREATE ROLE mallory",
    "GRANT SELECT ON *.* TO sluice_reader",
    "CREATE FUNCTION f AS (x) -> x",
    "SYSTEM SHUTDOWN",
    "SYSTEM STOP LISTEN HTTP",
    "SYSTEM STOP MERGES acme.orders__rows",
    "SYSTEM FLUSH LOGS",
    "BACKUP DATABASE acme TO File('/tmp/x')",
    "CREATE TABLE default.t (a Int8) ENGINE = MergeTree ORDER BY a",
    "CREATE TABLE system.t (a Int8) ENGINE = MergeTree ORDER BY a",
    "DROP DATABASE system",
    "DROP DATABASE default",
    "DROP TABLE system.one",
  ];

  // Attack Q2.
  test.each([
    ...outside,
    "INSERT INTO FUNCTION s3('http://127.0.0.1:1/bucket/k', 'CSV', 'a String') SELECT 'x'",
    "INSERT INTO FUNCTION url('http://127.0.0.1:1/', CSV, 'a String') SELECT 'x'",
    "INSERT INTO FUNCTION file('/tmp/x.csv', CSV, 'a String') SELECT 'x'",
    "INSERT INTO FUNCTION remote('127.0.0.1:1', acme.t) SELECT 1",
    "CREATE TABLE acme.t (a String) ENGINE = URL('http://127.0.0.1:1/', CSV)",
    "CREATE TABLE acme.t (a String) ENGINE = S3('http://127.0.0.1:1/bucket/k', 'CSV')",
    "CREATE TABLE acme.t (a String) ENGINE = File(CSV)",
    "CREATE TABLE acme.t (a String) ENGINE = Log",
    "CREATE TABLE acme.t (a String) ENGINE = Distributed(c, d, t)",
    "CREATE TABLE acme.t (a Int8) ENGINE = PostgreSQL('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "CREATE TABLE acme.t (a Int8) ENGINE = MaterializedPostgreSQL('127.0.0.1:1', 'd', 't', 'u', 'p') PRIMARY KEY a",
    "CREATE DATABASE pg ENGINE = MaterializedPostgreSQL('127.0.0.1:1', 'd', 'u', 'p') SETTINGS allow_experimental_database_materialized_postgresql = 1",
    "CREATE DATABASE pg ENGINE = PostgreSQL('127.0.0.1:1', 'd', 'u', 'p')",
    "CREATE DATABASE fs ENGINE = Filesystem('/')",
    "CREATE DICTIONARY acme.d (a UInt64) PRIMARY KEY a SOURCE(HTTP(URL 'http://127.0.0.1:1/' FORMAT TSV)) LAYOUT(FLAT()) LIFETIME(1)",
    "CREATE VIEW acme.stolen DEFINER = admin SQL SECURITY DEFINER AS SELECT * FROM system.users",
    "SELECT file FROM acme.beyond",
    "ALTER TABLE acme.orders__rows UPDATE _updated = 0 WHERE 1",
    "ALTER TABLE acme.orders__rows FREEZE",
    "ALTER TABLE acme.orders__rows FETCH PARTITION tuple() FROM '/x'",
    "CREATE NAMED COLLECTION c AS a = 'b'",
  ])("refuse the loader: %s", async (sql) => {
    expect(await ask(server, loader, sql)).toMatchObject({ code: ACCESS_DENIED });
  });

  test("let the reader read domain tables and their views", async () => {
    await answered(server, loader, "CREATE OR REPLACE VIEW acme.seen AS SELECT 1 AS one");
    expect(await answered(server, reader, "SELECT one FROM acme.seen")).toBe("1");
    expect(await answered(server, reader, "SHOW TABLES FROM acme LIKE 'seen'")).toBe("seen");
  });

  test.each([
    ...outside,
    "INSERT INTO acme.orders__rows VALUES (9, 9)",
    "CREATE DATABASE mine",
    "DROP TABLE acme.orders__rows",
    "ALTER TABLE acme.orders__rows DELETE WHERE 1",
    "TRUNCATE TABLE acme.orders__rows",
    "CREATE TABLE acme.t (a Int8) ENGINE = MergeTree ORDER BY a",
  ])("refuse the reader: %s", async (sql) => {
    // ACCESS_DENIED, or READONLY.
    expect([ACCESS_DENIED, 164]).toContain((await ask(server, reader, sql)).code);
  });

  test("do not let the reader undo that it only reads", async () => {
    const parameters = { readonly: 0 };
    expect((await ask(server, reader, "SELECT 1", { parameters })).code).toBe(164);
  });

  test("let the user of ingest queries read and fill what is staged for a query", async () => {
    for (const sql of [
      "CREATE DATABASE sluice_query_w_f",
      "CREATE TABLE sluice_query_w_f.file_0 (id Nullable(String)) ENGINE = MergeTree ORDER BY tuple()",
      "CREATE VIEW sluice_query_w_f.orders AS SELECT id FROM sluice_query_w_f.file_0",
      "CREATE TABLE sluice_query_w_f.result (id Nullable(String)) ENGINE = MergeTree ORDER BY tuple()",
      "INSERT INTO sluice_query_w_f.file_0 VALUES ('1')",
    ]) {
      await answered(server, loader, sql);
    }
    const parameters = { database: "sluice_query_w_f" };
    const sql = "INSERT INTO result SELECT id FROM orders";
    expect((await ask(server, query, sql, { parameters })).code).toBe(0);
    expect((await ask(server, query, "SELECT id FROM result", { parameters })).text.trim()).toBe(
      "1",
    );
  });

  test.each([
    ...outside,
    "SELECT * FROM acme.orders__rows",
    "SELECT 1 IN acme.orders__rows",
    "INSERT INTO acme.orders__rows VALUES (9, 9)",
    "INSERT INTO FUNCTION url('http://127.0.0.1:1/', CSV, 'a String') SELECT 'x'",
    "CREATE DATABASE sluice_query_mine",
    "CREATE TABLE sluice_query_w_f.mine (a Int8) ENGINE = MergeTree ORDER BY a",
    "DROP TABLE sluice_query_w_f.file_0",
    "TRUNCATE TABLE sluice_query_w_f.file_0",
    "CREATE TEMPORARY TABLE t (a Int8)",
  ])("refuse the user of ingest queries: %s", async (sql) => {
    // ACCESS_DENIED, or QUERY_IS_PROHIBITED.
    expect([ACCESS_DENIED, 392]).toContain((await ask(server, query, sql)).code);
  });

  // Attack Q2.
  test("let nobody but the admin reach another server, whichever way is tried", async () => {
    let connections = 0;
    const listener = createServer((socket) => {
      connections++;
      socket.destroy();
    }).listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const at = `127.0.0.1:${port}`;
    const sources = [
      `url('http://${at}/', CSV)`,
      `url('http://${at}/', LineAsString)`,
      `s3('http://${at}/bucket/k', 'CSV')`,
      `gcs('http://${at}/bucket/k', 'CSV')`,
      `iceberg('http://${at}/bucket/k')`,
      `deltaLake('http://${at}/bucket/k')`,
      `azureBlobStorage('http://${at}/a', 'c', 'b', 'a', 'YQ==', 'CSV')`,
      `hdfs('hdfs://${at}/x', 'CSV')`,
      `remote('${at}', system.one)`,
      `remoteSecure('${at}', system.one)`,
      `postgresql('${at}', 'd', 't', 'u', 'p')`,
      `mysql('${at}', 'd', 't', 'u', 'p')`,
      `mongodb('${at}', 'd', 'c', 'u', 'p', 'a String')`,
      `redis('${at}', 'k', 'k String')`,
      `jdbc('jdbc:x://${at}', 't')`,
      `odbc('DSN=${at}', 't')`,
    ];
    for (const user of [loader, reader, query]) {
      // Described, a program tells the structure that the caller wrote; it is not run.
      const run = await ask(server, user, "SELECT * FROM executable('x.sh', TSV, 'a String')");
      expect(run.code, `${user.name}: executable`).not.toBe(0);
      for (const source of sources) {
        for (const verb of ["SELECT * FROM", "DESCRIBE TABLE", "EXPLAIN SELECT * FROM"]) {
          const { code } = await ask(server, user, `${verb} ${source}`);
          expect(code, `${user.name}: ${verb} ${source}`).not.toBe(0);
        }
      }
    }
    expect(connections).toBe(0);
    listener.close();
  });

  test("leave a gap that the embedded engine has: file() and INFILE read any file that its process may", async () => {
    // A server proper asks for READ ON FILE here. When this fails, the gap is closed: refuse both above.
    const path = join(directory.path, "users.xml");
    expect(await answered(server, loader, `SELECT file('${path}') LIKE '%<users>%'`)).toBe("1");
    await answered(server, loader, "CREATE TABLE acme.lines (a String) ENGINE = Null");
    const infile = `INSERT INTO acme.lines FROM INFILE '${path}' FORMAT LineAsString`;
    expect((await ask(server, loader, infile)).code).toBe(0);
  });

  test("keep the loader's inserts synchronous, whatever a request asks for", async () => {
    const setting = "SELECT value FROM system.settings WHERE name = 'async_insert'";
    expect(await answered(server, loader, setting)).toBe("0");
    const parameters = { async_insert: 1 };
    expect((await ask(server, loader, "SELECT 1", { parameters })).code).toBe(452);
    const same = { async_insert: 0 };
    expect(await answered(server, loader, "SELECT 1", { parameters: same })).toBe("1");
  });
});
