import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescMethod, DescMethodUnary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { InspectService } from "@sluice/api/ingest/v1/inspect_service_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { pino } from "pino";
import { afterAll, describe, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { createGrpcClient } from "../src/grpc-client.ts";
import { startIngest } from "../src/ingest.ts";
import { isWorkerAuthorization, workerAuthorization } from "../src/worker-key.ts";
import { serveControl } from "./control-double.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-worker-key-"));
afterAll(() => rmSync(folder, { recursive: true }));
const isUnary = (method: DescMethod): method is DescMethodUnary => method.methodKind === "unary";
const KEY = "a-key-that-control-and-ingest-share";

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

test("the key is the one given, or the one of the file", () => {
  const path = file("good", `${KEY}\n`);
  expect(readConfig({ SLUICE_WORKER_KEY_FILE: path }).workerKey).toBe(KEY);
  expect(readConfig({ SLUICE_WORKER_KEY: KEY }).workerKey).toBe(KEY);
});

describe("what is no key stops the start, in one line that does not tell it", () => {
  test.each([
    ["SLUICE_WORKER_KEY", "canary", "at least 32"],
    ["SLUICE_WORKER_KEY_FILE", file("short", "canary"), "at least 32"],
    ["SLUICE_WORKER_KEY_FILE", file("lines", `${"canary ".repeat(9)}`), "visible ASCII"],
    ["SLUICE_WORKER_KEY_FILE", file("open", KEY, 0o644), "chmod 600"],
    ["SLUICE_WORKER_KEY_FILE", join(folder, "nowhere"), "can't be read"],
  ])("%s=%s", (name, value, said) => {
    const read = (): unknown => readConfig({ [name]: value });
    expect(read).toThrow(said);
    expect(read).toThrow(name);
    expect(read).not.toThrow("canary");
  });

  test("none at all", async () => {
    const started = startIngest(readConfig({}), pino({ level: "silent" }));
    await expect(started).rejects.toThrow("SLUICE_WORKER_KEY_FILE");
  });
});

test("a caller without the key reaches nothing of a worker, by any method", async () => {
  const config = readConfig({
    SLUICE_WORKER_KEY: KEY,
    SLUICE_CONTROL_URL: "http://127.0.0.1:9",
    SLUICE_DRAIN_MS: "0",
  });
  const ingest = await startIngest(config, pino({ level: "silent" }));
  for (const key of ["", "another-key-of-the-same-form-as-ours", `${KEY} `, KEY.toUpperCase()]) {
    const client = createGrpcClient(ingest.inspectUrl, key);
    for (const method of InspectService.methods) {
      if (!isUnary(method)) throw new Error(`${method.name} is not unary`);
      const call = client.call(method, {}, { timeoutMs: 10_000 });
      await expect(call).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
    }
    client.close();
  }
  const friend = createGrpcClient(ingest.inspectUrl, KEY);
  const call = friend.call(InspectService.method.backtestPattern, {}, { timeoutMs: 10_000 });
  await expect(call).rejects.not.toMatchObject({ code: status.UNAUTHENTICATED });
  friend.close();
  await ingest.close();
});

test("a worker shows the key to control", async () => {
  await using control = await serveControl({ heartbeat: async () => ({}) });
  await control.heartbeat("task");
  const stranger = createGrpcClient(control.url, "some-other-key-that-is-long-enough-too");
  const call = stranger.call(TaskService.method.heartbeat, {}, { timeoutMs: 10_000 });
  await expect(call).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  stranger.close();
});

test("an empty key opens nothing, also to somebody who shows an empty one", () => {
  expect(isWorkerAuthorization(workerAuthorization(""), "")).toBe(false);
  expect(isWorkerAuthorization(undefined, KEY)).toBe(false);
  expect(isWorkerAuthorization(workerAuthorization(KEY), KEY)).toBe(true);
});
