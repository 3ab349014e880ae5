import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { type OutgoingHttpHeaders, request } from "node:http";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type DataDir, dataDirAt } from "./data-dir.ts";
import { engineLibraryPath } from "./engine-library.ts";
import { LocalClickHouseError } from "./local-clickhouse-error.ts";
import { logTail } from "./log-tail.ts";
import type { ServerFailure, ServerOrder, ServerReport } from "./server-messages.ts";
import { type LocalUser, type LocalUsers, readUsers } from "./server-users.ts";

export interface LocalClickHouseOptions {
  /** Where tables, passwords, configuration and logs are kept; made if missing, used by one server at a time. */
  readonly dataDir: string;
  /** Bytes the server may take altogether; queries beyond it fail. Default 4 GB. */
  readonly maxMemoryBytes?: number;
  /** Default 0: the system chooses. A port in use fails the start. */
  readonly httpPort?: number;
  /**
   * Opens the native protocol as well; 0 lets the system choose. Closed by default: the embedded
   * engine ends when a client of that protocol fails to sign in, which a server proper does not.
   */
  readonly tcpPort?: number;
  /** How long the server may take until it answers a query; then it is killed. Default 30,000. */
  readonly startTimeoutMs?: number;
}

export interface LocalClickHouseExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running server. It stops with this process, however this process ends. */
export interface LocalClickHouse extends AsyncDisposable {
  /** Of the HTTP interface, without user or password. */
  readonly url: string;
  readonly httpPort: number;
  /** Undefined where the native protocol is closed. */
  readonly tcpPort?: number;
  readonly pid: number;
  readonly users: LocalUsers;
  readonly logFile: string;
  /** Resolves when the server process has ended, for whatever reason; never rejects. */
  readonly exited: Promise<LocalClickHouseExit>;
  /** Lets the server shut down cleanly, and returns when its process has ended. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would: for tests of faults. */
  kill(): void;
}

const DEFAULT_MEMORY_BYTES = 4_000_000_000;
const DEFAULT_START_TIMEOUT_MS = 30_000;
/** A clean stop that takes longer is ended by SIGKILL, which loses no acknowledged insert. */
const STOP_LIMIT_MS = 20_000;

/**
 * Starts ClickHouse's real server on 127.0.0.1 as a child process and returns once it answers a
 * query. Fails with a LocalClickHouseError, and then leaves no process behind.
 */
export async function startLocalClickHouse(
  options: LocalClickHouseOptions,
): Promise<LocalClickHouse> {
  const dir = dataDirAt(options.dataDir);
  const order: ServerOrder = {
    dataDir: dir.root,
    libraryPath: engineLibraryPath(),
    maxMemoryBytes: options.maxMemoryBytes ?? DEFAULT_MEMORY_BYTES,
    httpPort: options.httpPort ?? 0,
    ...(options.tcpPort === undefined ? {} : { tcpPort: options.tcpPort }),
  };
  mkdirSync(`${dir.root}/logs`, { recursive: true, mode: 0o700 });
  const child = spawnServer(dir, order);
  const exited = exitOf(child);
  const timeoutMs = options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
  const deadline = AbortSignal.timeout(timeoutMs);
  const ended = new AbortController();
  void exited.then(() => ended.abort());
  let failure: ServerFailure | undefined;
  try {
    const signal = AbortSignal.any([deadline, ended.signal]);
    const report = await reportOf(child, signal);
    if ("failure" in report) {
      failure = report.failure;
      throw new Error(failure.message);
    }
    const users = readUsers(dir.passwords);
    const ports = report.listening;
    await assertAnswers(ports.httpPort, users.admin, signal);
    const stop = async (): Promise<void> => {
      if (child.connected) child.disconnect();
      const limit = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
      await exited;
      clearTimeout(limit);
    };
    return {
      url: `http://127.0.0.1:${ports.httpPort}`,
      ...ports,
      pid: child.pid ?? -1,
      users,
      logFile: dir.log,
      exited,
      stop,
      kill: () => void child.kill("SIGKILL"),
      [Symbol.asyncDispose]: stop,
    };
  } catch (cause) {
    child.kill("SIGKILL");
    await exited;
    if (failure !== undefined) {
      const held = failure.code === "data_dir_in_use";
      throw new LocalClickHouseError(
        failure.code,
        `ClickHouse did not start on ${dir.root}: ${failure.message}`,
        {
          cause,
          ...(held ? {} : { logTail: logTail(dir) }),
          ...(failure.holderPid === undefined ? {} : { holderPid: failure.holderPid }),
        },
      );
    }
    const late = deadline.aborted;
    throw new LocalClickHouseError(
      late ? "start_timed_out" : "start_failed",
      late
        ? `ClickHouse did not answer within ${timeoutMs} ms (startTimeoutMs) on ${dir.root}`
        : `ClickHouse ended while it started on ${dir.root}`,
      { cause, logTail: logTail(dir) },
    );
  }
}

/** Settles when the process has ended and all it said has been heard. */
async function exitOf(child: ChildProcess): Promise<LocalClickHouseExit> {
  const silent = new Promise<void>((resolve) => child.once("disconnect", resolve));
  const exit = await new Promise<LocalClickHouseExit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", () => resolve({ code: null, signal: null }));
  });
  if (child.connected) await silent;
  return exit;
}

function spawnServer(dir: DataDir, order: ServerOrder): ChildProcess {
  const output = openSync(dir.output, "a", 0o600);
  try {
    return spawn(
      process.execPath,
      [fileURLToPath(new URL("./server-process.ts", import.meta.url)), JSON.stringify(order)],
      {
        cwd: dir.root,
        // Nothing is inherited: the server's own s3() would take credentials from the environment.
        env: { TZ: "UTC" },
        stdio: ["ignore", output, output, "ipc"],
        // Not in the terminal's process group: Ctrl-C reaches the parent alone, and the server
        // shuts down in order when its channel closes.
        detached: true,
      },
    );
  } finally {
    closeSync(output);
  }
}

/** The server process's one report; rejects when the signal aborts first. */
async function reportOf(child: ChildProcess, signal: AbortSignal): Promise<ServerReport> {
  const [report] = await once(child, "message", { signal });
  return report;
}

/** Throws unless the server takes requests and lets its admin in. */
async function assertAnswers(port: number, admin: LocalUser, signal: AbortSignal): Promise<void> {
  const headers = { "X-ClickHouse-User": admin.name, "X-ClickHouse-Key": admin.password };
  const ping = await answer(port, "/ping", {}, signal);
  const one = await answer(port, "/?query=SELECT+1", headers, signal);
  if (ping !== "Ok.\n") throw new Error(`ClickHouse answers a ping with: ${ping}`);
  if (one !== "1\n") throw new Error(`ClickHouse answers its admin's query with: ${one}`);
}

/** Without keep-alive: the server waits for open connections when it shuts down. */
async function answer(
  port: number,
  path: string,
  headers: OutgoingHttpHeaders,
  signal: AbortSignal,
): Promise<string> {
  const asked = request({ host: "127.0.0.1", port, path, headers, signal, agent: false }).end();
  const [response] = await once(asked, "response");
  return await text(response);
}
