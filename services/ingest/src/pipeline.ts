import { containerOf, decompress, openZip, SNIFF_BYTES, unarchiveTar } from "@sluice/decompress";
import { decrypt } from "@sluice/decrypt";
import { type Stage, StageError } from "@sluice/errors";
import type { PlatformSessions } from "@sluice/fetch";
import { removeStaged, removeStagedForQuery, type Warehouse } from "@sluice/load";
import type { ArchiveSettings, Entry, FileSettings, ManifestObject } from "@sluice/schema";
import type { StageClock, StageReport, TaskMemory, WorkingMemory } from "@sluice/streams";
import { selectEntries } from "./archive-entries.ts";
import type { IngestConfig } from "./config.ts";
import type { EntrySink } from "./entry-sink.ts";
import { judged } from "./judged.ts";
import { createEntryLoad } from "./load-entry.ts";
import { createLoadMeter, type LoadState } from "./load-meter.ts";
import type { Checkpoint, LoadWork } from "./load-work.ts";
import { openSource } from "./open-source.ts";
import { assertFormatOf } from "./propose-settings.ts";
import { createSpoolArea, type SpoolArea } from "./spool-area.ts";

export type { LoadState } from "./load-meter.ts";

/** What a load ended with. */
export interface LoadOutcome {
  readonly checkpoint: Checkpoint;
  /** Which way the bytes went, in words. */
  readonly route: string;
  readonly warnings: readonly string[];
  readonly state: LoadState;
  /** Where its time went, if that was measured. */
  readonly time?: StageReport;
}

export interface LoadContext {
  readonly config: IngestConfig;
  readonly warehouse: Warehouse;
  readonly memory: TaskMemory;
  readonly signal: AbortSignal;
  readonly onState: (state: LoadState) => void;
  /** For the stages METERED_STAGES. */
  readonly clock: StageClock;
  /** Of the platform's role, as they go from task to task. Default: each task begins its own. */
  readonly platformSessions?: PlatformSessions;
}

/** What can be read at random. */
export interface SeekableFile {
  /** Bytes. */
  readonly size: number;
  readRange(start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** A file with all its layers on: the object, or an entry of an archive. */
export interface WrappedFile {
  /** Of the entry, with the names of the archives that it stands in; empty for the object. */
  readonly name: string;
  /** What the courier calls the entry, or the object; empty where nobody asks. */
  readonly tag?: string;
  /** May be called once for an entry, again and again for the object. */
  stream(): AsyncIterable<Uint8Array>;
  /** Present when it can be read at random where it lies. */
  readonly seekable?: SeekableFile;
}

/** What all layers of one object work with. */
export interface Opening {
  readonly object: ManifestObject;
  readonly config: IngestConfig;
  readonly signal: AbortSignal;
  readonly spools: SpoolArea;
  /** What the layers work with. */
  readonly memory: WorkingMemory;
  /** What becomes of the entries: a load stages them, a preview shows the head of one. */
  readonly sink: EntrySink;
  readonly clock: StageClock;
}

/** The stages that a clock tells apart, in the data's order. */
export const METERED_STAGES = ["fetch", "decrypt", "decompress", "parse", "batch", "load"] as const;

/**
 * The data's way: one object of a frozen manifest, from its bytes in S3 to rows in the workflow's staging table.
 * Layers come off in a fixed order, decrypt, decompress, unarchive; an entry of an archive begins anew with settings of
 * its own. Reads are pulled by the writer: when ClickHouse is slow, nobody reads from S3. Throws StageErrors that
 * say where in the object.
 */
export async function loadObject(work: LoadWork, given: LoadContext): Promise<LoadOutcome> {
  const { object, readKey, settings, resumeAt } = work;
  const { config, memory, onState, clock } = given;
  const isUploaded = work.connection.access.kind === "platform";
  const bucket = isUploaded ? config.uploads.bucket : object.bucket;
  const lying = { ...object, bucket, key: readKey };
  const source = openSource(work.connection, config, {
    onlyKey: readKey,
    platformSessions: given.platformSessions,
  });
  // Access that was withdrawn ends the load wherever it stands, also where nothing is read just now.
  const signal = AbortSignal.any([given.signal, source.revoked]);
  const context: LoadContext = { ...given, signal };
  const meter = createLoadMeter({ bytesTotal: object.size, resumeAt, intervalMs: 200, onState });
  const entryLoad = createEntryLoad(work, context, meter, clock);
  const fetched = (bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> =>
    clock.meter("fetch", meter.count(bytes));
  const file: WrappedFile = {
    name: "",
    tag: object.tag ?? "",
    stream: () => fetched(source.read(lying, { signal })),
    seekable: {
      size: object.size,
      readRange: (start, end, rangeSignal = signal) =>
        fetched(source.read(lying, { start, end, signal: rangeSignal })),
    },
  };
  try {
    // What was staged of other bytes, or by other settings, must not stay among the new rows.
    if (object.generation !== undefined && resumeAt.batches === 0) {
      const { warehouse } = context;
      if (work.query !== undefined) await removeStagedForQuery(warehouse, work.query, object);
      await removeStaged(warehouse, work.feed, work.workflowId, object);
    }
    if (work.isSkipped) {
      const { state } = meter;
      return { checkpoint: state.checkpoint, route: "left out", warnings: [], state };
    }
    const spools = createSpoolArea(config, signal);
    await openFile(file, settings, {
      object,
      config,
      signal,
      spools,
      memory,
      sink: entryLoad,
      clock,
    });
    const { state } = meter;
    const { route, warnings } = entryLoad;
    const time = clock.report();
    return { checkpoint: state.checkpoint, route, warnings, state, ...(time && { time }) };
  } catch (error) {
    const { bucket, key, etag, versionId } = object;
    const reason: unknown = source.revoked.aborted ? source.revoked.reason : error;
    if (!(reason instanceof StageError)) throw reason;
    throw reason.at({ bucket, key, etag, ...(versionId === undefined ? {} : { versionId }) });
  } finally {
    await source.close();
  }
}

/** The stages whose errors tell of what a message holds. */
const PLAINTEXT_STAGES: ReadonlySet<Stage> = new Set(["decrypt", "decompress", "parse", "cast"]);

/** Takes off OpenPGP, if there is any, and goes on with the plain file. */
export async function openFile(
  file: WrappedFile,
  settings: FileSettings,
  opening: Opening,
  depth: number = 0,
): Promise<void> {
  const { pgp } = settings;
  const { config, signal, memory, sink, clock } = opening;
  if (pgp === undefined) return await openPlain(file, settings, opening, depth);
  sink.watch?.decrypts(file.name);
  const plain = judged(decrypt({ ...config.limits.decrypt, keys: pgp, memory })(file.stream()));
  try {
    const { name, tag = "" } = file;
    const decrypted = { name, tag, stream: () => clock.meter("decrypt", plain.bytes) };
    await openPlain(decrypted, settings, opening, depth);
    await plain.judge();
  } catch (error) {
    // The reason may quote what the plaintext looked like: the message's integrity is judged first.
    const isAboutPlaintext = !(error instanceof StageError) || PLAINTEXT_STAGES.has(error.stage);
    const isJudged = sink.watch?.isJudged(error) ?? true;
    if (isAboutPlaintext && isJudged && !signal.aborted) await plain.judge();
    throw error;
  } finally {
    await plain.close();
  }
}

/** Takes off the compression, and goes on with the archive's entries or the file's rows. */
async function openPlain(
  file: WrappedFile,
  settings: FileSettings,
  opening: Opening,
  depth: number,
): Promise<void> {
  const { compression, content } = settings;
  const { spools, memory, sink, clock } = opening;
  const { limits } = opening.config;
  const plain = (archive?: "zip" | "tar"): AsyncIterable<Uint8Array> => {
    const bytes = file.stream();
    const decompressed = decompress({
      ...limits.decompress,
      compression,
      memory,
      ...(archive && { archive }),
    })(sink.watch?.decompresses(file.name, compression, bytes) ?? bytes);
    return clock.meter("decompress", decompressed);
  };
  switch (content.kind) {
    case "tar": {
      const bytes = plain("tar");
      return await openArchive(file, content, opening, depth, (wants) =>
        unarchiveTar({ ...limits.archive, wants })(bytes),
      );
    }
    case "zip": {
      const open = async (zip: SeekableFile, where: string): Promise<void> => {
        sink.addRoute(`zip ${where}`);
        await openArchive(file, content, opening, depth, (wants) =>
          openZip(zip, { ...limits.archive, wants, memory }),
        );
      };
      const zip = seekableOf(file, settings);
      if (zip !== undefined && containerOf(await readHead(zip)) === "zip") {
        return await open(zip, "by ranges from S3");
      }
      await using held = await spools.hold(plain("zip"));
      return await open(held, "spooled to disk");
    }
    case "parquet": {
      const lying = seekableOf(file, settings);
      if (lying !== undefined && (await loadPlainParquet(file, lying, sink))) return;
      await using held = await spools.hold(plain());
      return await sink.loadParquet(file.name, held, "spooled to disk", file.tag ?? "");
    }
    default:
      return await sink.loadStream(file.name, content, plain(), file.tag ?? "");
  }
}

/** The file where it lies, if it can be read at random there and the settings name no layer around it. */
function seekableOf(
  { seekable }: WrappedFile,
  { compression }: FileSettings,
): SeekableFile | undefined {
  return compression === "auto" || compression === "none" ? seekable : undefined;
}

/** Loads a Parquet file where it lies; false when there is a layer around it. */
async function loadPlainParquet(
  { name, tag = "" }: WrappedFile,
  file: SeekableFile,
  sink: EntrySink,
): Promise<boolean> {
  try {
    await sink.loadParquet(name, file, "by range from S3", tag);
    return true;
  } catch (error) {
    // Only what does not open is worth one more request: is there a layer that nobody spoke of?
    const isNotParquet = error instanceof StageError && error.code === "malformed";
    if (!isNotParquet) throw error;
    const head = await readHead(file);
    if (containerOf(head) !== undefined) return false;
    assertFormatOf(head, { kind: "parquet" });
    throw error;
  }
}

async function readHead({ size, readRange }: SeekableFile): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(readRange(0, Math.min(size, SNIFF_BYTES))));
}

/** Opens each wanted entry by the settings that select it, in the archive's order. */
async function openArchive(
  file: WrappedFile,
  archive: ArchiveSettings,
  opening: Opening,
  depth: number,
  read: (wants: (name: string) => boolean) => AsyncIterable<Entry>,
): Promise<void> {
  const { object, sink } = opening;
  const { maxArchiveDepth } = opening.config;
  if (depth >= maxArchiveDepth) {
    const message = `An archive inside ${depth} archives is deeper than SLUICE_MAX_ARCHIVE_DEPTH = ${maxArchiveDepth}.`;
    throw new StageError("decompress", "limit_exceeded", message, { entry: file.name });
  }
  const selection = selectEntries(archive.entries, object.date);
  sink.watch?.unarchives(file.name, archive.kind);
  const nameOf = (name: string): string => (file.name === "" ? name : `${file.name}/${name}`);
  const wants = (name: string): boolean => {
    const isSelected = selection.wants(name);
    return sink.watch?.wants(file.name, nameOf(name), isSelected) ?? isSelected;
  };
  for await (const { name, bytes } of read(wants)) {
    const selected = selection.settingsOf(name);
    if (selected === undefined) continue;
    const entry = nameOf(name);
    try {
      const tag = selected.tag === "" ? (file.tag ?? "") : selected.tag;
      const inside = { name: entry, tag, stream: () => bytes };
      await openFile(inside, selected.settings, opening, depth + 1);
    } catch (error) {
      throw error instanceof StageError ? error.at({ entry }) : error;
    }
  }
  selection.assertComplete();
  sink.addWarnings(selection.absent());
}
