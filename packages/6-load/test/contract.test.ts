import { once } from "node:events";
import { batch } from "@sluice/batch";
import { parseDelimited } from "@sluice/parse";
import type { Batch, DelimitedSettings } from "@sluice/schema";
import { type ByteBudget, createByteBudget } from "@sluice/streams";
import { chunked, probe, stageContract } from "@sluice/streams/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Acknowledgement,
  createStaging,
  dropStaging,
  loadBatches,
  prepareDomainTable,
  resolveColumns,
  stagingRejectsTable,
  stagingTable,
} from "../src/index.ts";
import {
  feedOf,
  field,
  manifestObject,
  startTestServer,
  type TestServer,
  textColumns,
} from "./server.ts";

const COMMA: DelimitedSettings = {
  kind: "delimited",
  delimiter: ",",
  quote: '"',
  escape: '"',
  headerRows: 1,
  skipRows: 0,
  nullText: "",
  encoding: "utf-8",
};

const ROWS = 80;
const BATCH_ROWS = 10;
// A record that lacks a field and a value that is no number, each in some batches.
const sample = Buffer.from(
  `id,note\n${Array.from({ length: ROWS }, (_, i) =>
    i % 11 === 3 ? `${i}\n` : `${i % 13 === 7 ? "x" : i},"é\n${i}"\n`,
  ).join("")}`,
);

const address = { source: "contract", name: "customers" };
const feed = feedOf([field("id", "integer"), field("note", "string")], address);
// Not of what was parsed: an empty file has no columns, but what an entry without a batch gives is asked.
const plan = resolveColumns(feed, textColumns(["id", "note"]));

let server: TestServer;
let budget: ByteBudget;
let runs = 0;

beforeAll(async () => {
  server = await startTestServer();
  await prepareDomainTable(server.warehouse, feed);
});
beforeEach(() => {
  budget = createByteBudget(1_000_000);
});
// Every batch is released, whatever a test did.
afterEach(() => expect(budget.used).toBe(0));
afterAll(async () => await server.stop());

/** What lies in a workflow's staging tables. */
interface Staged {
  readonly rows: readonly (readonly [row: number, id: number, note: string])[];
  readonly rejects: readonly (readonly [row: number, stage: string, code: string])[];
}

type Output = Acknowledgement | Staged;

async function readStaged(workflowId: string): Promise<Staged> {
  const list = async <Row>(columns: string, table: string): Promise<Row[]> =>
    (
      await server.rows<{ r: Row }>(`SELECT tuple(${columns}) AS r FROM ${table} ORDER BY _row`)
    ).map(({ r }) => r);
  return {
    rows: await list("toUInt32(_row), toInt32(id), note", stagingTable(address, workflowId).sql),
    rejects: await list(
      "toUInt32(_row), stage, code",
      stagingRejectsTable(address, workflowId).sql,
    ),
  };
}

/**
 * A sink as a stage: its outputs are the acknowledgements, each waiting for the reader, and behind the
 * last one what is staged. To read it is to call `loadBatches`; a reader that stops early is an
 * abort by signal.
 */
async function* load(
  source: AsyncIterable<Uint8Array>,
  options: {
    readonly workflowId?: string;
    readonly cancel?: AbortController;
    /** The loader gets the batch once this is through. */
    readonly onBatch?: (batch: Batch) => void | Promise<void>;
    readonly onAcknowledged?: (acknowledged: Acknowledgement) => void;
  } = {},
): AsyncGenerator<Output> {
  const { workflowId = `w${++runs}`, onBatch, onAcknowledged } = options;
  const { cancel = new AbortController() } = options;
  await createStaging(server.warehouse, address, workflowId);
  const parsed = await parseDelimited(COMMA, { maxBlockRows: 2 })(source);
  const batches = batch({ columns: plan.chosen, budget, maxRows: BATCH_ROWS })(parsed);
  const acknowledgements = new TransformStream<Acknowledgement, Acknowledgement>();
  const writer = acknowledgements.writable.getWriter();
  const loading = loadBatches({
    warehouse: server.warehouse,
    feed,
    workflowId,
    object: manifestObject(),
    entry: "",
    rowBase: 0,
    plan,
    signal: cancel.signal,
    async onAcknowledged(acknowledged) {
      onAcknowledged?.(acknowledged);
      await writer.write(acknowledged);
    },
  })(seen(batches, onBatch)).then(
    () => writer.close(),
    (error: unknown) => writer.abort(error),
  );
  try {
    yield* acknowledgements.readable.values({ preventCancel: true });
    yield await readStaged(workflowId);
  } finally {
    cancel.abort(new Error("the reader stopped"));
    // Ends the wait for the reader; what there is to tell was thrown above.
    await Promise.allSettled([acknowledgements.readable.cancel(), loading]);
  }
}

async function* seen(
  batches: AsyncIterable<Batch>,
  onBatch: ((batch: Batch) => void | Promise<void>) | undefined,
): AsyncGenerator<Batch> {
  for await (const one of batches) {
    await onBatch?.(one);
    yield one;
  }
}

// It has no limit of its own: what bounds a batch is in the stages before it.
stageContract<Output>({
  name: "loadBatches",
  stage: (source) => load(source),
  sample,
  collect: (outputs) => outputs,
  empty: { output: [{ rows: [], rejects: [] }] },
  sinkFails: {
    stage(source) {
      const workflowId = `w${++runs}`;
      const first = Promise.withResolvers<void>();
      return load(source, {
        workflowId,
        onAcknowledged: () => first.resolve(),
        // The first batch is durable, and no other one is on its way.
        async onBatch({ ordinal }) {
          if (ordinal !== 1) return;
          await first.promise;
          await dropStaging(server.warehouse, address, workflowId);
        },
      });
    },
    code: "table_changed",
  },
});

const isRejected = (i: number): boolean => i % 11 === 3 || i % 13 === 7;

describe("the loader at the end of a chain", () => {
  test("acknowledges every batch in order and stages every row of the sample", async () => {
    const outputs = await Array.fromAsync(load(chunked(sample, 64)));
    const indexes = [...Array(ROWS).keys()];
    expect(outputs.slice(0, -1)).toEqual(
      Array.from({ length: ROWS / BATCH_ROWS }, (_, ordinal) => ({
        ordinal,
        firstRow: ordinal * BATCH_ROWS + 1,
        rows: BATCH_ROWS,
        rejected: indexes.filter((i) => Math.floor(i / BATCH_ROWS) === ordinal && isRejected(i))
          .length,
      })),
    );
    expect(outputs.at(-1)).toEqual({
      rows: indexes.filter((i) => !isRejected(i)).map((i) => [i + 1, i, `é\n${i}`]),
      rejects: indexes
        .filter(isRejected)
        .map((i) => (i % 11 === 3 ? [i + 1, "parse", "malformed"] : [i + 1, "cast", "bad_value"])),
    });
  });

  test("sends nothing of the records between the last whole batch and a source's error", async () => {
    const workflowId = `w${++runs}`;
    const broken = new Error("the source broke");
    const durable = Promise.withResolvers<void>();
    let given = 0;
    let done = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      // Three batches and two records of a fourth.
      const end = Buffer.from(sample).indexOf(`\n${3 * BATCH_ROWS + 2},`);
      yield sample.subarray(0, end + 1);
      // Not before all three are durable: what is in flight when a source breaks may land or not.
      await durable.promise;
      throw broken;
    }
    const outputs = load(source(), {
      workflowId,
      onBatch: () => void given++,
      onAcknowledged: () => {
        if (++done === 3) durable.resolve();
      },
    });
    await expect(Array.fromAsync(outputs)).rejects.toBe(broken);
    expect(given).toBe(3);
    const { rows, rejects } = await readStaged(workflowId);
    const staged = [...rows, ...rejects].map(([row]) => row).sort((a, b) => a - b);
    expect(staged).toEqual(Array.from({ length: 3 * BATCH_ROWS }, (_, i) => i + 1));
  });

  test("closes its source at the next batch when it is cancelled, and releases what it had", async () => {
    const cancel = new AbortController();
    async function* waiting(): AsyncGenerator<Uint8Array> {
      const half = sample.byteLength / 2;
      yield* chunked(sample.subarray(0, half), 64);
      if (!cancel.signal.aborted) await once(cancel.signal, "abort");
      yield* chunked(sample.subarray(half), 64);
    }
    const source = probe(waiting());
    for await (const _ of load(source, { cancel })) break;
    expect(source.closed).toBe(true);
    expect(source.pulled).toBeLessThan(Math.ceil(sample.byteLength / 64) - 1);
  });
});
