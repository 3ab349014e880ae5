import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { AccessKey, LocalAws, LocalAwsOptions } from "./local-aws.ts";
import type { ObjectStatistics } from "./statistics.ts";

interface Ready {
  readonly url: string;
  readonly region: string;
  readonly accountId: string;
  readonly adminKeys: AccessKey;
  readonly adminToken: string;
}

/** A server in a process of its own, which ends with this one however this one ends. */
export interface LocalAwsProcess extends LocalAws {
  readonly pid: number;
}

/** Starts S3 and STS as a child process and offers the same methods over its admin paths. */
export async function startLocalAws(
  options: Omit<LocalAwsOptions, "host" | "now">,
): Promise<LocalAwsProcess> {
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL("./main.ts", import.meta.url)),
      `--data-dir=${options.dataDir}`,
      `--port=${options.port ?? 0}`,
      ...(options.region === undefined ? [] : [`--region=${options.region}`]),
      ...(options.accountId === undefined ? [] : [`--account-id=${options.accountId}`]),
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const ready = await readyLine(child);
  const call = createCaller(ready);
  const close = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.stdin.end();
    await exited;
  };
  const objectStatistics = (bucket: string, key: string): Promise<ObjectStatistics> =>
    call("POST", "/_statistics", { bucket, key });
  return {
    ...ready,
    pid: child.pid ?? 0,
    createBucket: (name, settings) => call("POST", "/_buckets", { ...settings, name }),
    createAccessPoint: (input) => call("POST", "/_access-points", input),
    createUser: (input) => call("POST", "/_users", input),
    putRole: (input) => call("POST", "/_roles", input),
    deleteRole: (arn) => call("DELETE", "/_roles", { arn }),
    faults: {
      add: (fault) => call("POST", "/_faults", fault),
      clear: (id) => call("DELETE", "/_faults", id === undefined ? {} : { id }),
      counts: () => call("GET", "/_faults"),
    },
    bytesSent: async (bucket, key) => (await objectStatistics(bucket, key)).bytesSent,
    objectStatistics,
    requestCounts: () => call("GET", "/_statistics"),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function readyLine(child: ChildProcess): Promise<Ready> {
  if (child.stdout === null) throw new TypeError("the child has no standard output");
  const lines = createInterface({ input: child.stdout });
  const first = Promise.race([
    once(lines, "line"),
    once(child, "exit").then(([code]) => {
      throw new Error(`local-aws ended with code ${code} before it was ready`);
    }),
  ]);
  const [line] = await first;
  return JSON.parse(String(line)) as Ready;
}

function createCaller(ready: Ready) {
  return async <T>(method: string, path: string, input?: object): Promise<T> => {
    const answer = await fetch(`${ready.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${ready.adminToken}` },
      ...(input !== undefined && { body: JSON.stringify(input) }),
    });
    const result = (await answer.json()) as T & { error?: string };
    if (!answer.ok) throw new Error(`${method} ${path}: ${result.error ?? answer.status}`);
    return result;
  };
}
