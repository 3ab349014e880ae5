/**
 * The process that is the server: takes the data directory, writes the configuration, loads the
 * engine and serves until its channel to the parent closes, which happens however the parent ends.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DataType, type JsExternal, load, open } from "ffi-rs";
import { admitOnce } from "./admit-once.ts";
import { openCLibrary } from "./c-library.ts";
import { type DataDir, dataDirAt } from "./data-dir.ts";
import { lockForThisProcess } from "./data-dir-lock.ts";
import { LocalClickHouseError } from "./local-clickhouse-error.ts";
import { serverConfig } from "./server-config.ts";
import type { ServerFailure, ServerOrder, ServerPorts, ServerReport } from "./server-messages.ts";
import { ensurePasswords, usersConfig } from "./server-users.ts";
import { standardInputUntil } from "./standard-input.ts";

/** An engine that hangs while it shuts down must not stay behind when the parent is gone. */
const SHUTDOWN_LIMIT_MS = 20_000;

const PORTS_INTERVAL_MS = 10;

const ENGINE = "chdb";

function tell(report: ServerReport): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(report, () => resolve());
  });
}

/** Runs the engine until its last statement ends, and returns why it failed, if it did. */
async function serve(order: ServerOrder): Promise<string | undefined> {
  const dir = dataDirAt(order.dataDir);
  openCLibrary();
  lockForThisProcess(dir.lock);
  mkdirSync(dir.tables, { recursive: true, mode: 0o700 });
  rmSync(dir.ports, { force: true });
  // The engine does not find its own log tables again, and would fail to make them anew.
  for (const part of ["data", "metadata"]) {
    rmSync(join(dir.tables, part, "system"), { recursive: true, force: true });
  }
  const users = ensurePasswords(dir.passwords);
  writeFileSync(dir.config, serverConfig(dir, order, await admitOnce()), { mode: 0o600 });
  writeFileSync(dir.users, usersConfig(users), { mode: 0o600 });

  const endInput = standardInputUntil(dir.pipe);
  const stop = (): void => {
    endInput();
    setTimeout(() => process.kill(process.pid, "SIGKILL"), SHUTDOWN_LIMIT_MS);
  };
  if (process.connected) process.once("disconnect", stop);
  else stop();
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.once(signal, stop);

  open({ library: ENGINE, path: order.libraryPath });
  // The last statement reads until the input ends, which is what keeps the server up.
  const protocols = [
    { name: "HTTP", port: "http_port", key: "httpPort" },
    ...(order.tcpPort === undefined ? [] : [{ name: "TCP", port: "tcp_port", key: "tcpPort" }]),
  ];
  const statements = [
    ...protocols.map(({ name }) => `SYSTEM START LISTEN ${name}`),
    `SELECT ${protocols.map(({ port, key }) => `getServerPort('${port}') AS ${key}`)} INTO OUTFILE '${quoted(dir.ports)}' FORMAT JSONEachRow`,
    "INSERT INTO FUNCTION null('x String') SELECT * FROM file('/dev/fd/0', 'LineAsString', 'x String')",
  ];
  const args = [
    "clickhouse",
    `--path=${dir.tables}`,
    `--config-file=${dir.config}`,
    "--log-level=information",
    `--query=${statements.join("; ")}`,
  ];
  void reportPorts(dir);
  const result = await load({
    library: ENGINE,
    funcName: "chdb_query_cmdline",
    retType: DataType.External,
    paramsType: [DataType.I32, DataType.StringArray],
    paramsValue: [args.length, args],
    // The engine checks the bounds of its stack: it must be a native thread's own.
    runInNewThread: true,
  });
  return engineError(result);
}

/** Tells the parent the ports as soon as the engine has written them down. */
async function reportPorts(dir: DataDir): Promise<void> {
  for (;;) {
    const ports = portsOf(dir);
    if (ports !== undefined) return tell({ listening: ports });
    await delay(PORTS_INTERVAL_MS);
  }
}

/** The ports the engine says it has; undefined until it has said so. */
function portsOf(dir: DataDir): ServerPorts | undefined {
  try {
    return JSON.parse(readFileSync(dir.ports, "utf8"));
  } catch (error) {
    // Not written yet, or half of it.
    if (error instanceof SyntaxError) return undefined;
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** The engine's error text; its pointer is null where all went well. */
function engineError(result: JsExternal): string | undefined {
  const call = {
    library: ENGINE,
    funcName: "chdb_result_error",
    paramsType: [DataType.External],
    paramsValue: [result],
  };
  const address = load({ ...call, retType: DataType.I64 });
  return address === 0 ? undefined : load({ ...call, retType: DataType.String });
}

/** Text of an SQL string literal. */
function quoted(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
}

process.umask(0o077);
try {
  const message = await serve(JSON.parse(process.argv[2] ?? "{}"));
  if (message !== undefined) await tell({ failure: { code: "start_failed", message } });
  process.exit(message === undefined ? 0 : 1);
} catch (error) {
  const holderPid = error instanceof LocalClickHouseError ? error.holderPid : undefined;
  const failure: ServerFailure = {
    code: error instanceof LocalClickHouseError ? error.code : "start_failed",
    message: error instanceof Error ? error.message : String(error),
    ...(holderPid === undefined ? {} : { holderPid }),
  };
  await tell({ failure });
  process.exit(1);
}
