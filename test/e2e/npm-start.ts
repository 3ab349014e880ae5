import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** What `npm start` runs, as a person's terminal does: a process with children of its own. */
export interface Product extends AsyncDisposable {
  /** Everything it printed until it was ready. */
  readonly printed: string;
  /** The API's address, as printed. */
  readonly url: string;
  /** An admin's key, and the file that it is in. */
  readonly adminKey: string;
  readonly adminKeyFile: string;
  readonly pid: number;
  /** Calls a method of the API by plain JSON. */
  call(method: string, request: object): Promise<unknown>;
  /** Ctrl-C in a terminal: the signal reaches the whole group. Gives the exit code. */
  pressCtrlC(): Promise<number | null>;
  /** Ends this one process by a signal, and gives its exit code. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** The exit code, once it has ended. */
  readonly exited: Promise<number | null>;
}

const MAIN = fileURLToPath(new URL("../../services/local/src/main.ts", import.meta.url));

function run(settings: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, SLUICE_CONTROL_PORT: "0", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  await once(child, "exit");
  return child.exitCode;
}

/** Starts the product and waits until it has printed where it listens. */
export async function npmStart(dataDir: string): Promise<Product> {
  const child = run({ SLUICE_DATA_DIR: dataDir });
  const { pid, stdout, stderr } = child;
  if (pid === undefined || stdout === null || stderr === null) throw new Error("it did not start");
  const exited = exitCode(child);
  const said = text(stderr);
  const lines: string[] = [];
  for await (const line of createInterface({ input: stdout })) {
    lines.push(line);
    if (/^ *target role /.test(line)) break;
  }
  stdout.resume();
  const printed = lines.join("\n");
  const url = /API \(.*\) +(http\S+)/.exec(printed)?.[1];
  if (url === undefined) throw new Error(`it ended with ${await exited}: ${await said}`);
  const adminKeyFile = join(dataDir, "admin.key");
  const adminKey = (await readFile(adminKeyFile, "utf8")).trim();
  return {
    printed,
    url,
    adminKey,
    adminKeyFile,
    pid,
    exited,
    async call(method, request) {
      const answer = await fetch(`${url}/sluice.control.v1.${method}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${adminKey}` },
        body: JSON.stringify(request),
      });
      return await answer.json();
    },
    async pressCtrlC() {
      process.kill(-pid, "SIGINT");
      return await exited;
    },
    async end(signal) {
      child.kill(signal);
      return await exited;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** Starts the product with settings that it refuses: how it ended, and what it said. */
export async function refusedStart(
  settings: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = run(settings);
  if (child.stdout === null || child.stderr === null) throw new Error("it did not start");
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    exitCode(child),
  ]);
  return { code, said: out + err };
}

export interface Process {
  readonly pid: number;
  readonly command: string;
}

interface ListedProcess extends Process {
  readonly parentPid: number;
}

/** Every process of this machine but those that have ended and that nobody has asked about yet. */
function living(): ListedProcess[] {
  const list = execFileSync("ps", ["-A", "-ww", "-o", "pid=,ppid=,stat=,args="]).toString();
  return [...list.matchAll(/^ *(\d+) +(\d+) +(\S+) +(.*)$/gm)]
    .filter(([, , , state]) => !state?.startsWith("Z"))
    .map(([, pid, parentPid, , command = ""]) => ({
      pid: Number(pid),
      parentPid: Number(parentPid),
      command,
    }));
}

/** The children of a process, and theirs. */
export function descendants(pid: number): Process[] {
  const all = living();
  const below = (parent: number): Process[] =>
    all
      .filter(({ parentPid }) => parentPid === parent)
      .flatMap((child) => [child, ...below(child.pid)]);
  return below(pid);
}

/** Those of the processes that are still there. */
export function stillThere(processes: readonly Process[]): Process[] {
  const alive = new Set(living().map(({ pid, command }) => `${pid} ${command}`));
  return processes.filter(({ pid, command }) => alive.has(`${pid} ${command}`));
}
