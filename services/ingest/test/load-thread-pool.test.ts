import { toBinary } from "@bufbuild/protobuf";
import { LeaseSchema } from "@sluice/api/ingest/v1/task_pb";
import { afterEach, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { createLoadThreadPool, type LoadThreadPool } from "../src/load-thread-pool.ts";
import { loadLease } from "./load-lease.ts";
import { type SilentStore, startSilentStore } from "./silent-store.ts";

const ONWARD = { signal: new AbortController().signal, onState: () => undefined };
/** A feed of so many fields does not fit into a small heap, whatever its file holds. */
const TOO_MANY_FIELDS = 400_000;

let pool: LoadThreadPool;
let store: SilentStore | undefined;
afterEach(async () => {
  await pool.close();
  await store?.[Symbol.asyncDispose]();
  store = undefined;
});

/** Nothing listens on port 1. */
const small = toBinary(LeaseSchema, loadLease({ endpoint: "http://127.0.0.1:1" }));

test("a load that needs more heap than a thread may have costs that load alone", async () => {
  pool = createLoadThreadPool({
    ...readConfig({ SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1" }),
    threadHeapMib: 64,
  });
  const type = { type: { case: "string", value: {} } } as const;
  const fields = Array.from({ length: TOO_MANY_FIELDS }, () => ({ incomingName: "x", type }));
  const huge = toBinary(LeaseSchema, loadLease({ endpoint: "http://127.0.0.1:1", fields }));

  await expect(pool.run(huge, ONWARD)).rejects.toMatchObject({
    name: "LoadThreadFailure",
    failure: {
      stage: "parse",
      code: "decoder_crashed",
      message: expect.stringContaining("SLUICE_THREAD_HEAP_MIB"),
    },
  });
  // The next one gets its own outcome, from a thread of the same size.
  await expect(pool.run(small, ONWARD)).rejects.toMatchObject({
    failure: { stage: "connect", code: "source_unavailable" },
  });
});

test("a lease that makes no sense fails its load, and the thread goes on", async () => {
  pool = createLoadThreadPool(readConfig({ SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1" }));
  await expect(pool.run(new Uint8Array(), ONWARD)).rejects.toMatchObject({
    failure: { stage: "parse", code: "decoder_crashed" },
    message: expect.stringContaining("the lease is not one of a load"),
  });
  await expect(pool.run(small, ONWARD)).rejects.toMatchObject({
    failure: { stage: "connect", code: "source_unavailable" },
  });
});

test("a load that is stopped lets go of its source and rejects with the reason", async () => {
  store = await startSilentStore();
  pool = createLoadThreadPool(readConfig({ SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1" }));
  const stop = new AbortController();
  const load = pool.run(toBinary(LeaseSchema, loadLease({ endpoint: store.url })), {
    ...ONWARD,
    signal: stop.signal,
  });
  const outcome = expect(load).rejects.toThrow("the lease is lost");
  await store.asked;
  stop.abort(new Error("the lease is lost"));
  await outcome;
  await store.hungUp;
});

test("closed, the pool ends the loads that still run", async () => {
  store = await startSilentStore();
  pool = createLoadThreadPool(readConfig({ SLUICE_ALLOWED_ENDPOINTS: "http://127.0.0.1" }));
  const load = pool.run(toBinary(LeaseSchema, loadLease({ endpoint: store.url })), ONWARD);
  const outcome = expect(load).rejects.toMatchObject({ failure: { code: "decoder_crashed" } });
  await store.asked;
  await pool.close();
  await outcome;
});
