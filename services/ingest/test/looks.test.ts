import { create } from "@bufbuild/protobuf";
import { InferFileSettingsRequestSchema } from "@sluice/api/ingest/v1/inference_pb";
import { PreviewObjectRequestSchema } from "@sluice/api/ingest/v1/preview_pb";
import { afterEach, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { createLoadThreadPool, type LoadThreadPool } from "../src/load-thread-pool.ts";
import { createLooks } from "../src/preview/looks.ts";
import { type SilentStore, startSilentStore } from "./silent-store.ts";

const FOR_EVER = new AbortController().signal;
const access = {
  case: "key",
  value: { accessKeyId: "key", secretAccessKey: "secret" },
} as const;

let pool: LoadThreadPool | undefined;
let store: SilentStore | undefined;
afterEach(async () => {
  await pool?.close();
  await store?.[Symbol.asyncDispose]();
  store = undefined;
});

const requestTo = (endpoint: string, fields: object[] = []) =>
  create(PreviewObjectRequestSchema, {
    connection: { bucket: "acme", endpoint, access },
    key: "people.csv",
    settings: { format: { case: "delimited", value: {} } },
    ...(fields.length === 0 ? {} : { feed: { spec: { fields, primaryKey: [] } } }),
  });

test("a look at a store that says nothing ends by its time, as an answer", async () => {
  store = await startSilentStore();
  const config = readConfig({
    SLUICE_PREVIEW_TIMEOUT_MS: "3000",
    SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1",
  });
  pool = createLoadThreadPool(config);
  const looks = createLooks(config, pool);
  // The first look may spend its time on the thread's start and ask nothing; the second finds the thread there.
  const { inferred } = await looks.inferFileSettings(
    create(InferFileSettingsRequestSchema, {
      connection: { bucket: "acme", endpoint: store.url, access },
      key: "people.csv",
    }),
    FOR_EVER,
  );
  expect(inferred).toMatchObject({ failure: { code: "limit_exceeded" } });
  const { preview } = await looks.previewObject(requestTo(store.url), FOR_EVER);
  expect(preview).toMatchObject({
    settings: { format: { case: "delimited" } },
    failure: { code: "limit_exceeded", message: expect.stringContaining("PREVIEW_TIMEOUT") },
  });
  await store.hungUp;
});

test("a look whose caller went away lets go of its source", async () => {
  store = await startSilentStore();
  const config = readConfig({ SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1" });
  pool = createLoadThreadPool(config);
  const caller = new AbortController();
  const look = createLooks(config, pool).previewObject(requestTo(store.url), caller.signal);
  const outcome = expect(look).rejects.toThrow("gone");
  await store.asked;
  caller.abort(new Error("gone"));
  await outcome;
  await store.hungUp;
});

test("a look that needs more heap than a thread may have is an answer, and the next one is served", async () => {
  const config = {
    ...readConfig({ SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1" }),
    threadHeapMib: 64,
  };
  pool = createLoadThreadPool(config);
  const looks = createLooks(config, pool);
  const type = { type: { case: "string", value: {} } } as const;
  const fields = Array.from({ length: 400_000 }, () => ({ incomingName: "x", type }));
  const huge = await looks.previewObject(requestTo("http://127.0.0.1:1", fields), FOR_EVER);
  expect(huge.preview).toMatchObject({ failure: { code: "decoder_crashed" } });
  const next = await looks.previewObject(requestTo("http://127.0.0.1:1"), FOR_EVER);
  expect(next.preview).toMatchObject({ failure: { code: "source_unavailable" } });
});
