import { setImmediate } from "node:timers/promises";
import { StageError } from "@sluice/errors";
import type { S3Source } from "@sluice/fetch";
import { type ColumnPlan, judgeFindings, resolveColumns } from "@sluice/load";
import type { Block, ManifestObject } from "@sluice/schema";
import type { EntrySink } from "./entry-sink.ts";
import { NO_ROWS, openEntry, routeOf } from "./load-entry.ts";
import type { UnitContext, UnitFailure } from "./load-unit.ts";
import type { LoadWork } from "./load-work.ts";
import { openFile } from "./pipeline.ts";
import { withDelimiter } from "./propose-settings.ts";
import { readAhead } from "./read-ahead.ts";
import { createSpoolArea } from "./spool-area.ts";
import { compactBlock, heldBy } from "./unit-blocks.ts";

/** What one object holds, cut into columns. */
export interface ParsedFile {
  readonly plan: ColumnPlan;
  readonly blocks: readonly Block[];
  readonly rows: number;
  readonly route: string;
  readonly warnings: readonly string[];
}

/** What the objects of a unit may hold together; one that holds more is loaded by itself. */
const MAX_HELD_BYTES = 32 * 2 ** 20;

/** What is wrong with one file, and will be wrong with it when it is alone. Codes of memory depend on the others. */
const FILE_STAGES: ReadonlySet<string> = new Set(["fetch", "decompress", "parse", "cast"]);

/** Reads and parses all objects, one after the other. */
export async function parseAll(
  works: readonly LoadWork[],
  source: S3Source,
  context: UnitContext,
): Promise<{ readonly parsed: readonly ParsedFile[]; readonly failures: readonly UnitFailure[] }> {
  const { memory, signal } = context;
  const parsed: ParsedFile[] = [];
  const failures: UnitFailure[] = [];
  const held = memory.part(tooMuch);
  let heldBytes = 0;
  const objects = works.map(({ object }) => object);
  for await (const { at, bytes } of readAhead(source, objects, context)) {
    const work = works[at];
    if (work === undefined) throw new Error(`a unit of ${works.length} has no object ${at}`);
    try {
      const file = await parseFile(work, bytes, context);
      parsed.push(file);
      heldBytes += file.blocks.reduce((sum, block) => sum + heldBy(block), 0);
    } catch (error) {
      signal.throwIfAborted();
      failures.push({ at, ...toUnitFailure(error, work.object) });
    }
    if (heldBytes > MAX_HELD_BYTES) throw tooMuch(`more than ${MAX_HELD_BYTES} bytes`);
    await held.hold(heldBytes);
    // A thread that only computes would not hear that it has to stop.
    await setImmediate();
    signal.throwIfAborted();
  }
  return { parsed, failures };
}

function tooMuch(seen: string): StageError {
  return new StageError(
    "load",
    "rejected",
    "Several small files were loaded together and hold more than expected: each is loaded by itself.",
    { seen },
  );
}

async function parseFile(
  { object, settings, feed }: LoadWork,
  bytes: Promise<Uint8Array>,
  { config, memory, signal, clock }: UnitContext,
): Promise<ParsedFile> {
  const warnings = new Set<string>();
  const blocks: Block[] = [];
  let rows = 0;
  let whole = 0;
  let found: Pick<ParsedFile, "plan" | "route"> | undefined;
  const sink: EntrySink = {
    async loadStream(_name, format, content) {
      const entry = await openEntry(format, feed, config.limits, memory, content);
      const plan = planOf(feed, entry.columns, (error) =>
        format.kind === "delimited" ? withDelimiter(error, format, feed, entry.columns) : error,
      );
      found = { plan, route: `${routeOf(format)}, typed by ClickHouse` };
      for await (const block of clock.meter("parse", entry.blocks)) {
        rows += block.rows;
        whole += block.rows - block.faults.length;
        blocks.push(compactBlock(block, plan.chosen));
      }
      for (const warning of plan.warnings) warnings.add(warning);
      const findings = entry.findings?.();
      if (rows === 0 && (findings?.warnings.length ?? 0) === 0) {
        for (const warning of NO_ROWS) warnings.add(warning);
      }
      if (findings === undefined) return;
      // Without a whole record all columns are absent for want of records.
      const judged = whole > 0 ? judgeFindings(feed, plan, findings) : findings.warnings;
      for (const warning of judged) warnings.add(warning);
    },
    loadParquet: () => Promise.reject(new Error("Parquet is loaded by itself")),
    addRoute: () => {},
    addWarnings: (more) => {
      for (const warning of more) warnings.add(warning);
    },
  };
  const file = {
    name: "",
    tag: object.tag ?? "",
    stream: () => clock.meter("fetch", only(bytes)),
  };
  await openFile(file, settings, {
    object,
    config,
    signal,
    spools: createSpoolArea(config, signal),
    memory,
    sink,
    clock,
  });
  if (found === undefined) throw new Error("the file was not parsed");
  return { ...found, blocks, rows, warnings: [...warnings] };
}

async function* only(bytes: Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await bytes;
}

function planOf(
  feed: LoadWork["feed"],
  columns: Parameters<typeof resolveColumns>[1],
  explain: (error: unknown) => unknown,
): ColumnPlan {
  try {
    return resolveColumns(feed, columns);
  } catch (error) {
    throw explain(error);
  }
}

/** Throws what is not of the one file, or may be gone when it is tried again. */
function toUnitFailure(
  error: unknown,
  { bucket, key, etag, versionId }: ManifestObject,
): Omit<UnitFailure, "at"> {
  const isOfFile =
    error instanceof StageError &&
    FILE_STAGES.has(error.stage) &&
    error.retry !== "automatic" &&
    error.code !== "record_too_large";
  if (!isOfFile) throw error;
  const placed = error.at({ bucket, key, etag, ...(versionId === undefined ? {} : { versionId }) });
  return { failure: placed.toFailure(), technical: placed.stack ?? placed.message };
}
