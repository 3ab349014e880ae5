import { batch } from "@sluice/batch";
import { containerOf, decompress, SNIFF_BYTES } from "@sluice/decompress";
import { decrypt } from "@sluice/decrypt";
import { type Stage, StageError } from "@sluice/errors";
import type { S3Source } from "@sluice/fetch";
import {
  type Acknowledgement,
  loadBatches,
  loadSlices,
  resolveColumns,
  type Warehouse,
} from "@sluice/load";
import { openParquet, type ParquetFile, type ParquetOptions, parseDelimited } from "@sluice/parse";
import type { DelimitedSettings, FileSettings, Slice } from "@sluice/schema";
import { type ByteBudget, spool } from "@sluice/streams";
import type { IngestConfig } from "./config.ts";
import { judged } from "./judged.ts";
import { createLoadMeter, type LoadMeter, type LoadState } from "./load-meter.ts";
import type { Checkpoint, LoadWork } from "./load-work.ts";
import { openSource } from "./open-source.ts";

export type { LoadState } from "./load-meter.ts";

/** What a load ended with. */
export interface LoadOutcome {
  readonly checkpoint: Checkpoint;
  /** Which way the bytes went, in words. */
  readonly route: string;
  readonly warnings: readonly string[];
  readonly state: LoadState;
}

export interface LoadContext {
  readonly config: IngestConfig;
  readonly warehouse: Warehouse;
  readonly budget: ByteBudget;
  readonly signal: AbortSignal;
  readonly onState: (state: LoadState) => void;
}

interface Loaded {
  readonly route: string;
  readonly warnings: readonly string[];
}

/**
 * The data's way: one object of a frozen manifest, from its bytes in S3 to rows in the workflow's
 * staging table. Reads are pulled by the writer: when ClickHouse is slow, nobody reads from S3.
 * Throws StageErrors that say where in the object.
 */
export async function loadObject(work: LoadWork, context: LoadContext): Promise<LoadOutcome> {
  const { object, settings } = work;
  const source = openSource(work.connection, context.config);
  const meter = createLoadMeter({
    bytesTotal: object.size,
    resumeAt: work.resumeAt,
    intervalMs: 200,
    onState: context.onState,
  });
  try {
    const { route, warnings } =
      settings.format.kind === "parquet"
        ? await loadParquet(work, context, source, meter)
        : await loadDelimited(work, settings.format, context, source, meter);
    const { state } = meter;
    return { checkpoint: state.checkpoint, route, warnings, state };
  } catch (error) {
    const { bucket, key, etag, versionId } = object;
    if (!(error instanceof StageError)) throw error;
    throw error.at({ bucket, key, etag, ...(versionId === undefined ? {} : { versionId }) });
  } finally {
    await source.close();
  }
}

/** Text: bytes -> plain bytes -> entry -> blocks -> record batches -> staging. */
async function loadDelimited(
  work: LoadWork,
  format: DelimitedSettings,
  context: LoadContext,
  source: S3Source,
  meter: LoadMeter,
): Promise<Loaded> {
  const { budget, signal } = context;
  return await openLayers(work, context, source, meter, async (bytes, name) => {
    const parsed = await parseDelimited(format)(bytes);
    const plan = resolveColumns(work.feed, parsed.columns);
    const batches = batch({ columns: plan.chosen, budget, signal })(parsed);
    await loadBatches({ ...loadTarget(work, context, meter), entry: name, plan })(batches);
    return { route: "delimited text, typed by ClickHouse", warnings: plan.warnings };
  });
}

/**
 * Parquet: row groups as they are, each a small file of its own. A file under a layer is put on disk
 * first, because its footer stands at its end.
 */
async function loadParquet(
  work: LoadWork,
  context: LoadContext,
  source: S3Source,
  meter: LoadMeter,
): Promise<Loaded> {
  const { object, settings } = work;
  const plain: ReadableFile = {
    size: object.size,
    readRange: (start, end, signal = context.signal) =>
      meter.count(source.read(object, { start, end, signal })),
  };
  if (settings.pgp === undefined && settings.compression !== "gzip") {
    try {
      const file = await openParquet(plain);
      return await loadRowGroups(work, context, meter, "", "row groups, by range from S3", file);
    } catch (error) {
      // Only what does not open is worth one more request: is there a layer that nobody spoke of?
      const isNotParquet = error instanceof StageError && error.code === "malformed";
      if (!isNotParquet || !(await isInContainer(plain))) throw error;
    }
  }
  return await openLayers(work, context, source, meter, async (bytes, name) => {
    await using held = await spool(bytes, {
      directory: context.config.spoolDir,
      maxSpoolBytes: context.config.maxSpoolBytes,
      toError: (message) => new StageError("decompress", "limit_exceeded", message),
      signal: context.signal,
    });
    const file = await openParquet(held);
    return await loadRowGroups(work, context, meter, name, "row groups, spooled to disk", file);
  });
}

/** A file that can be read at random. */
type ReadableFile = Pick<ParquetOptions, "size" | "readRange">;

async function isInContainer({ size, readRange }: ReadableFile): Promise<boolean> {
  const head = await Array.fromAsync(readRange(0, Math.min(size, SNIFF_BYTES)));
  return containerOf(Buffer.concat(head)) !== undefined;
}

async function loadRowGroups(
  work: LoadWork,
  context: LoadContext,
  meter: LoadMeter,
  entry: string,
  route: string,
  { columns, slices }: ParquetFile,
): Promise<Loaded> {
  const plan = resolveColumns(work.feed, columns);
  await loadSlices({ ...loadTarget(work, context, meter), entry, plan })(inOrder(slices));
  return { route: `parquet ${route}`, warnings: plan.warnings };
}

async function* inOrder(slices: readonly Slice[]): AsyncGenerator<Slice> {
  yield* slices;
}

/** What batches and slices of this object have in common on their way into the staging table. */
function loadTarget(work: LoadWork, { warehouse, signal, config }: LoadContext, meter: LoadMeter) {
  const { workflowId, object, feed, resumeAt } = work;
  let durable = resumeAt;
  return {
    warehouse,
    workflowId,
    object,
    feed,
    resumeAt: { ordinal: resumeAt.batches },
    concurrency: config.insertConcurrency,
    signal,
    onAcknowledged: ({ ordinal, rows, rejected }: Acknowledgement): void => {
      durable = {
        batches: ordinal + 1,
        rows: durable.rows + rows,
        rejected: durable.rejected + rejected,
      };
      meter.acknowledge(durable);
    },
  };
}

/** The stages whose errors tell of what a message holds. */
const PLAINTEXT_STAGES: ReadonlySet<Stage> = new Set(["decompress", "parse", "cast"]);

/** Takes the layers off in their fixed order, and gives the one file inside to `use`. */
async function openLayers<T>(
  { object, settings }: LoadWork,
  { signal }: LoadContext,
  source: S3Source,
  meter: LoadMeter,
  use: (bytes: AsyncIterable<Uint8Array>, name: string) => Promise<T>,
): Promise<T> {
  const plain = judged(decryptIf(settings)(meter.count(source.read(object, { signal }))));
  try {
    for await (const entry of decompress({ compression: settings.compression })(plain.bytes)) {
      const result = await use(entry.bytes, entry.name);
      await plain.judge();
      return result;
    }
    throw new StageError("decompress", "empty_archive", "there is no file inside");
  } catch (error) {
    // The reason may quote what the plaintext looked like: the message's integrity is judged first.
    const isAboutPlaintext = !(error instanceof StageError) || PLAINTEXT_STAGES.has(error.stage);
    if (settings.pgp !== undefined && isAboutPlaintext && !signal.aborted) await plain.judge();
    throw error;
  } finally {
    await plain.close();
  }
}

function decryptIf({ pgp }: FileSettings): ReturnType<typeof decrypt> {
  return pgp === undefined ? (bytes) => bytes : decrypt({ keys: pgp });
}
