import { StageError, type StageFailure } from "@sluice/errors";
import type { S3Source } from "@sluice/fetch";
import type { Warehouse } from "@sluice/load";
import type { FileSettings, ManifestObject } from "@sluice/schema";
import { STOPPED_CLOCK, type TaskMemory } from "@sluice/streams";
import type { IngestConfig } from "../config.ts";
import type { EntrySink, StreamedFormat } from "../entry-sink.ts";
import { openFile, type SeekableFile, type WrappedFile } from "../pipeline.ts";
import { createSpoolArea, type SpoolArea } from "../spool-area.ts";
import { ENOUGH } from "./enough.ts";
import { createLayerWatch, type SeenLayer, throwNotShown } from "./layer-watch.ts";

/** What a look works with. */
export interface LookContext {
  readonly config: IngestConfig;
  readonly warehouse: Warehouse;
  readonly memory: TaskMemory;
  readonly signal: AbortSignal;
}

/** What is made of the first file that has anything to show. */
export interface Viewer<T> {
  /** Calls `show` with what there is, and reads on to the end only as far as it has to; else throws ENOUGH. */
  stream(
    name: string,
    format: StreamedFormat,
    bytes: AsyncIterable<Uint8Array>,
    show: Show<T>,
  ): Promise<void>;
  parquet(name: string, file: SeekableFile, where: string, show: Show<T>): Promise<void>;
}

/** Keeps what a viewer saw, even when what follows it fails. */
export interface Show<T> {
  (seen: T): void;
  warn(warnings: readonly string[]): void;
  route(route: string): void;
}

/** The head of an object. */
export interface Look<T> {
  readonly entry: string;
  /** Undefined when the failure says why, or when there is nothing in the object. */
  readonly seen: T | undefined;
  readonly failure: StageFailure | undefined;
  readonly layers: readonly SeenLayer[];
  readonly warnings: readonly string[];
  readonly route: string;
  /** Whether everything was read, to the last check. */
  readonly isComplete: boolean;
  readonly bytesRead: number;
}

/** Up to so many bytes an object is read to its end before an error tells of what an OpenPGP message holds. */
const JUDGED_BYTES = 16 * 2 ** 20;

/**
 * Opens an object the way a load does, shows the first file in it, and stops reading. What a load would fail with is
 * an answer; what is thrown is no failure of the object.
 */
export async function lookAtObject<T>(
  source: S3Source,
  object: ManifestObject,
  options: {
    readonly settings: FileSettings;
    /** The one file of an archive to look at; empty for the first. */
    readonly entry: string;
    readonly viewer: Viewer<T>;
  },
  context: LookContext,
): Promise<Look<T>> {
  const { config, memory, signal } = context;
  const { settings, entry: wanted, viewer } = options;
  const meter = createReadMeter(Math.max(config.maxPreviewSpoolBytes, LEAST_READ_BYTES));
  const isJudged = object.size <= JUDGED_BYTES;
  const watch = createLayerWatch({ entry: wanted, isJudged });
  const warnings = new Set<string>();
  const routes = new Set<string>();
  let shown: { readonly entry: string; readonly seen: T } | undefined;
  let isComplete = false;
  let failure: StageFailure | undefined;

  const showOf = (entry: string): Show<T> =>
    Object.assign(
      (seen: T): void => {
        shown = { entry, seen };
      },
      {
        warn: (found: readonly string[]): void => {
          for (const warning of found) warnings.add(warning);
        },
        route: (route: string): void => void routes.add(route),
      },
    );
  const file: WrappedFile = {
    name: "",
    stream: () => meter.count(source.read(object, { signal })),
    seekable: {
      size: object.size,
      readRange: (start, end, rangeSignal = signal) =>
        meter.count(source.read(object, { start, end, signal: rangeSignal })),
    },
  };
  const sink: EntrySink = {
    async loadStream(name, format, bytes) {
      await viewer.stream(name, format, bytes, showOf(name));
      // Of an archive one file is shown; an object that is none is read to its end, and so judged.
      if (shown !== undefined && name !== "") throw ENOUGH;
    },
    async loadParquet(name, seekable, where) {
      await viewer.parquet(name, seekable, where, showOf(name));
      if (shown !== undefined && name !== "") throw ENOUGH;
    },
    addRoute: (route) => void routes.add(route),
    addWarnings: (found) => showOf("").warn(found),
    watch,
  };
  try {
    const spools = createPreviewSpools(config, object, signal);
    await openFile(file, settings, {
      object,
      config,
      signal,
      spools,
      memory,
      sink,
      clock: STOPPED_CLOCK,
    });
    if (wanted !== "" && shown === undefined) throwNotShown(wanted, watch.layers);
    isComplete = true;
  } catch (error) {
    signal.throwIfAborted();
    if (error !== ENOUGH) failure = toFailure(error, object);
  }
  const isUnjudged = !isComplete && failure === undefined;
  if (isUnjudged && watch.layers.some(({ kind }) => kind === "pgp")) {
    warnings.add("the OpenPGP message was not read to its end, where its integrity is verified");
  }
  return {
    entry: shown?.entry ?? "",
    seen: shown?.seen,
    failure,
    layers: watch.layers,
    warnings: [...warnings],
    route: [...routes].join("; "),
    isComplete,
    bytesRead: meter.bytesRead,
  };
}

/** An error of the pipeline as a load would report it; anything else is thrown. */
function toFailure(error: unknown, { bucket, key, etag }: ManifestObject): StageFailure {
  if (!(error instanceof StageError)) throw error;
  return error.at({ bucket, key, etag }).toFailure();
}

/** Reading alone costs nothing that lasts: the limit of spools does not go below this. */
const LEAST_READ_BYTES = 16 * 2 ** 20;
const LIMIT = "SLUICE_MAX_PREVIEW_SPOOL_MIB";

interface ReadMeter {
  count(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  readonly bytesRead: number;
}

/** A file of a tar may stand behind a terabyte: nobody waits for it. */
function createReadMeter(maxBytes: number): ReadMeter {
  let bytesRead = 0;
  return {
    async *count(bytes) {
      for await (const chunk of bytes) {
        bytesRead += chunk.byteLength;
        if (bytesRead > maxBytes) {
          const message = `A preview reads at most ${maxBytes} bytes of an object, which ${LIMIT} may raise, and saw nothing in them to show.`;
          throw new StageError("decompress", "limit_exceeded", message, { expected: LIMIT });
        }
        yield chunk;
      }
    },
    get bytesRead() {
      return bytesRead;
    },
  };
}

/** Spools of a preview have a smaller limit, and what cannot fit is not even begun. */
function createPreviewSpools(
  config: IngestConfig,
  object: ManifestObject,
  signal: AbortSignal,
): SpoolArea {
  const { spoolDir, maxPreviewSpoolBytes: maxSpoolBytes } = config;
  const area = createSpoolArea({ spoolDir, maxSpoolBytes, limit: LIMIT }, signal);
  return {
    async hold(bytes) {
      if (object.size >= maxSpoolBytes) {
        const message = `The file has to be put on disk to be previewed, and is not smaller than ${LIMIT} = ${maxSpoolBytes / 2 ** 20} allows. A load has a limit of its own and may well take it.`;
        throw new StageError("decompress", "limit_exceeded", message, {
          seen: `${object.size} bytes`,
          expected: `less than ${maxSpoolBytes} bytes`,
        });
      }
      return await area.hold(bytes);
    },
  };
}
