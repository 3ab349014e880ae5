import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { finished } from "node:stream/promises";
import { fileURLToPath } from "node:url";

/** A service of ours in a process of its own, which ends when this one does. */
export interface ChildService {
  readonly name: string;
  readonly url: string;
  /** Where it tells metrics and health. */
  readonly probes: string;
  readonly pid: number;
  readonly logFile: string;
  readonly exited: Promise<unknown>;
  /** Asks it to end (SIGTERM) and waits until it has. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would: for tests of faults. Returns when it is gone. */
  kill(): Promise<void>;
}

const STOP_LIMIT_MS = 15_000;
const LOG_TAIL_BYTES = 4_000;

/** Starts `main` and waits for the line that tells where it listens. Fails with the end of its log. */
export async function startChildService(options: {
  readonly name: string;
  /** The service's main.ts. */
  readonly main: URL;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
}): Promise<ChildService> {
  const { name, main, environment, logFile } = options;
  mkdirSync(dirname(logFile), { recursive: true });
  const log = createWriteStream(logFile, { flags: "a", mode: 0o600 });
  const child = spawn(process.execPath, [fileURLToPath(main)], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...environment, SLUICE_EXIT_WITH_STDIN: "1" },
  });
  child.stderr.pipe(log);
  const exited = once(child, "exit");
  const { url, probes } = await listening(child, exited).catch(async (error: unknown) => {
    child.kill("SIGKILL");
    await exited;
    await finished(log).catch(() => undefined);
    const tail = readFileSync(logFile, "utf8").slice(-LOG_TAIL_BYTES);
    throw new Error(`${name} did not start. Its log, ${logFile}, ends so:\n${tail}`, {
      cause: error,
    });
  });

  const isGone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const kill = async (): Promise<void> => {
    if (isGone()) return;
    child.kill("SIGKILL");
    await exited;
  };
  return {
    name,
    url,
    probes,
    pid: child.pid ?? 0,
    logFile,
    exited,
    kill,
    async stop() {
      if (isGone()) return;
      child.kill("SIGTERM");
      const limit = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
      await exited;
      clearTimeout(limit);
    },
  };
}

async function listening(
  child: ChildProcess,
  exited: Promise<unknown>,
): Promise<{ readonly url: string; readonly probes: string }> {
  if (child.stdout === null) throw new Error("the child has no output");
  const lines = createInterface({ input: child.stdout });
  const found = (async () => {
    for await (const line of lines) {
      const told: unknown = JSON.parse(line);
      if (typeof told === "object" && told && "url" in told && typeof told.url === "string") {
        return { url: told.url, probes: "probes" in told ? String(told.probes) : "" };
      }
    }
    throw new Error("it ended without a word");
  })();
  const gone = exited.then(() => {
    throw new Error("it ended before it listened");
  });
  const told = await Promise.race([found, gone]);
  child.stdout.resume();
  return told;
}
