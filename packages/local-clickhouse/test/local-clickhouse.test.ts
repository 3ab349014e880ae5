import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createClient } from "@clickhouse/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engineLibraryPath } from "../src/engine-library.ts";
import { type LocalClickHouse, LocalClickHouseError, startLocalClickHouse } from "../src/index.ts";
import { answered, ask } from "./ask.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const START_LIMIT_MS = 60_000;

describe("a local ClickHouse", { timeout: START_LIMIT_MS }, () => {
  const directory = temporaryDirectory();
  let server: LocalClickHouse;
  beforeAll(async () => {
    server = await startLocalClickHouse({ dataDir: directory.path, maxMemoryBytes: 1_500_000_000 });
  }, START_LIMIT_MS);
  afterAll(async () => {
    await server.stop();
    directory[Symbol.dispose]();
  }, START_LIMIT_MS);

  test("answers its admin, in UTC, from a real server of version 26.7", async () => {
    expect(await answered(server, server.users.admin, "SELECT version(), timezone()")).toMatch(
      /^26\.7\.[\d.]+\tUTC$/,
    );
  });

  test("refuses a wrong password and a user that does not exist", async () => {
    const wrong = await ask(server, { name: "admin", password: "wrong" }, "SELECT 1");
    expect([wrong.status, wrong.code]).toEqual([403, 516]);
    const nobody = await ask(server, { name: "nobody", password: "" }, "SELECT 1");
    expect([nobody.status, nobody.code]).toEqual([403, 516]);
  });

  test("lets nobody in without a password, as the user that the engine itself runs as", async () => {
    for (const user of [undefined, { name: "default", password: "" }]) {
      for (const parameters of [{}, { password: "x" }, { session_id: "mine" }]) {
        for (const sql of ["SELECT 1", "SYSTEM STOP LISTEN HTTP", "SHOW DATABASES"]) {
          // REQUIRED_PASSWORD or AUTHENTICATION_FAILED.
          expect([194, 516]).toContain((await ask(server, user, sql, { parameters })).code);
        }
      }
    }
  });

  test("survives clients whose connection is reset while they send or receive", async () => {
    const { loader } = server.users;
    await answered(server, loader, "CREATE DATABASE resets");
    await answered(
      server,
      loader,
      "CREATE TABLE resets.t (a String) ENGINE = MergeTree ORDER BY a",
    );
    const head = `Host: x\r\nX-ClickHouse-User: ${loader.name}\r\nX-ClickHouse-Key: ${loader.password}\r\n`;
    for (const request of [
      `POST /?query=INSERT+INTO+resets.t+FORMAT+TSV HTTP/1.1\r\n${head}Content-Length: 1000000\r\n\r\n${"a\n".repeat(300_000)}`,
      `POST /?query=SELECT+number+FROM+numbers(100000000) HTTP/1.1\r\n${head}Content-Length: 0\r\n\r\n`,
    ]) {
      const socket = connect(server.httpPort, "127.0.0.1").pause();
      await once(socket, "connect");
      await new Promise((resolve) => socket.write(request, resolve));
      // The server lists a query once it has read more than the query itself might be long.
      const running = "SELECT count() FROM system.processes WHERE user = 'sluice_loader'";
      await expect
        .poll(() => answered(server, server.users.admin, running), { timeout: 5_000 })
        .toBe("1");
      socket.resetAndDestroy();
      await expect
        .poll(() => answered(server, server.users.admin, running), { timeout: 5_000 })
        .toBe("0");
    }
  });

  test("keeps to its memory limit", async () => {
    const { admin } = server.users;
    const limit = "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'";
    expect(await answered(server, admin, limit)).toBe("1500000000");
    const greedy = "SELECT length(groupArray(number)) FROM numbers(1000000000)";
    expect((await ask(server, admin, greedy)).code).toBe(241);
    expect(await answered(server, admin, "SELECT 1")).toBe("1");
  });

  test.runIf(existsSync("/proc/net/tcp"))("listens on the loopback address alone", () => {
    const listening = ["/proc/net/tcp", "/proc/net/tcp6"]
      .filter((path) => existsSync(path))
      .flatMap((path) => readFileSync(path, "utf8").split("\n").slice(1))
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state]) => state === "0A")
      .map(([, local]) => local);
    const hex = server.httpPort.toString(16).toUpperCase().padStart(4, "0");
    expect(listening.filter((local) => local?.endsWith(`:${hex}`))).toEqual([`0100007F:${hex}`]);
  });

  test("writes its log to a file, and secrets to files that only their owner reads", () => {
    expect(readFileSync(server.logFile, "utf8")).toContain("Listening for http://127.0.0.1");
    for (const name of ["passwords.json", "config.xml", "users.xml"]) {
      expect(statSync(join(directory.path, name)).mode & 0o777).toBe(0o600);
    }
    const kept = readFileSync(join(directory.path, "users.xml"), "utf8");
    expect(kept).not.toContain(server.users.loader.password);
  });

  test("works with ClickHouse's own client", async () => {
    const { name, password } = server.users.loader;
    await using client = createClient({ url: server.url, username: name, password });
    await client.command({ query: "CREATE DATABASE client" });
    await client.command({
      query: "CREATE TABLE client.t (id UInt64, name String) ENGINE = MergeTree ORDER BY id",
    });
    const values = [
      { id: 1, name: "ä" },
      { id: 2, name: "" },
    ];
    await client.insert({ table: "client.t", values, format: "JSONEachRow" });
    const rows = await client.query({
      query: "SELECT toUInt32(id) AS id, name FROM client.t ORDER BY id",
      format: "JSONEachRow",
    });
    expect(await rows.json()).toEqual(values);
  });

  test("refuses a second server on the same directory, naming the process that has it", async () => {
    const second = startLocalClickHouse({ dataDir: directory.path });
    const error = await second.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "data_dir_in_use", holderPid: server.pid });
    expect(String(error)).toContain(`process ${server.pid}`);
    expect(await answered(server, server.users.admin, "SELECT 1")).toBe("1");
  });
});

describe("a data directory", { timeout: START_LIMIT_MS }, () => {
  test("keeps tables and passwords over a restart, even after a crash", async () => {
    using directory = temporaryDirectory();
    const dataDir = directory.path;
    const first = await startLocalClickHouse({ dataDir });
    const { loader } = first.users;
    await answered(first, loader, "CREATE DATABASE kept");
    await answered(first, loader, "CREATE TABLE kept.t (id Int64) ENGINE = MergeTree ORDER BY id");
    await answered(first, loader, "INSERT INTO kept.t VALUES (1)");
    await first.stop();
    expect(await first.exited).toEqual({ code: 0, signal: null });

    const second = await startLocalClickHouse({ dataDir });
    expect(second.users).toEqual(first.users);
    await answered(second, loader, "INSERT INTO kept.t VALUES (2)");
    second.kill();
    expect(await second.exited).toEqual({ code: null, signal: "SIGKILL" });

    await using third = await startLocalClickHouse({ dataDir });
    expect(await answered(third, loader, "SELECT sum(id) FROM kept.t")).toBe("3");
  });

  test("is free again, and the server gone, when the parent is killed", async () => {
    using directory = temporaryDirectory();
    const script = fileURLToPath(new URL("./parent-process.ts", import.meta.url));
    const parent = spawn(process.execPath, [script, directory.path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(createInterface(parent.stdout), "line");
    const pid = Number(line);
    expect(isRunning(pid)).toBe(true);
    parent.kill("SIGKILL");
    await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
    await using again = await startLocalClickHouse({ dataDir: directory.path });
    expect(again.pid).not.toBe(pid);
  });

  test("is served over the native protocol as well when a TCP port is asked for", async () => {
    using directory = temporaryDirectory();
    await using server = await startLocalClickHouse({ dataDir: directory.path, tcpPort: 0 });
    const { admin } = server.users;
    const sql = `SELECT currentUser() FROM remote('127.0.0.1:${server.tcpPort}', system.one, '${admin.name}', '${admin.password}')`;
    expect(await answered(server, admin, sql)).toBe("admin");
  });

  test("is left in order by a server that is sent SIGTERM, or stopped, as soon as it listens", async () => {
    using directory = temporaryDirectory();
    // The engine's last statement may or may not have begun: both ways must end.
    for (const _ of [1, 2, 3, 4]) {
      const server = await startLocalClickHouse({ dataDir: directory.path });
      process.kill(server.pid, "SIGTERM");
      expect(await server.exited).toEqual({ code: 0, signal: null });
      const other = await startLocalClickHouse({ dataDir: directory.path });
      await other.stop();
      expect(await other.exited).toEqual({ code: 0, signal: null });
    }
  });

  test("may lie under a name with quotes, spaces and braces", async () => {
    using directory = temporaryDirectory();
    const dataDir = join(directory.path, "it's {a,b} & <c> *");
    await using server = await startLocalClickHouse({ dataDir });
    expect(await answered(server, server.users.admin, "SELECT 1")).toBe("1");
  });
});

describe("a start that fails", { timeout: START_LIMIT_MS }, () => {
  test("says that the port is in use, with the end of the log, and leaves the directory free", async () => {
    using directory = temporaryDirectory();
    const dataDir = directory.path;
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const httpPort = typeof address === "object" && address !== null ? address.port : 0;
    const error = await startLocalClickHouse({ dataDir, httpPort }).catch((e: unknown) => e);
    other.close();
    expect(error).toBeInstanceOf(LocalClickHouseError);
    expect(error).toMatchObject({ code: "start_failed" });
    expect(String(error)).toMatch(/in use/i);
    await using server = await startLocalClickHouse({ dataDir });
    expect(server.httpPort).not.toBe(httpPort);
  });

  test("kills the server when it does not answer in time", async () => {
    using directory = temporaryDirectory();
    const dataDir = directory.path;
    const error = await startLocalClickHouse({ dataDir, startTimeoutMs: 1 }).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ code: "start_timed_out" });
    await using server = await startLocalClickHouse({ dataDir });
    expect(server.pid).toBeGreaterThan(0);
  });

  test("says so when the passwords' file is damaged, rather than making new ones", async () => {
    using directory = temporaryDirectory();
    writeFileSync(join(directory.path, "passwords.json"), "{}");
    const start = startLocalClickHouse({ dataDir: directory.path });
    await expect(start).rejects.toMatchObject({
      code: "start_failed",
      message: expect.stringContaining("passwords.json has no password for admin"),
    });
  });

  test("gives a data directory of an older release the users that came since, and keeps its passwords", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "passwords.json");
    writeFileSync(path, JSON.stringify({ admin: "a", loader: "l", reader: "r" }));
    await using server = await startLocalClickHouse({ dataDir: directory.path });
    const { admin, loader, reader, query } = server.users;
    expect([admin, loader, reader].map(({ password }) => password)).toEqual(["a", "l", "r"]);
    expect(query.password.length).toBeGreaterThan(20);
  });

  test("names the package that a platform needs, and the way around it", () => {
    const seen = { code: "engine_missing", message: expect.stringContaining("CLICKHOUSE_URL") };
    expect(() => engineLibraryPath("win32", "x64")).toThrow(expect.objectContaining(seen));
    const other = process.platform === "darwin" ? "linux" : "darwin";
    expect(() => engineLibraryPath(other, "arm64")).toThrow(`@chdb/lib-${other}-arm64`);
  });

  test("is found where the setup puts an engine that the lockfile does not name", () => {
    const other = process.platform === "darwin" ? "linux-arm64-gnu" : "darwin-arm64";
    const folder = mkdtempSync(join(tmpdir(), "sluice-engine-"));
    try {
      const library = join(folder, "node_modules", "@chdb", `lib-${other}`, "libchdb.so");
      mkdirSync(dirname(library), { recursive: true });
      writeFileSync(library, "");
      const [platform = ""] = other.split("-");
      expect(engineLibraryPath(platform, "arm64", folder)).toBe(library);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** A zombie, which nobody has reaped yet, runs no more. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, "utf8"));
}
