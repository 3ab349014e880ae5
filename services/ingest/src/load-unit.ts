import { setImmediate } from "node:timers/promises";
import { batch } from "@sluice/batch";
import { StageError, type StageFailure } from "@sluice/errors";
import {
  type ColumnPlan,
  countStagedRejects,
  judgeFindings,
  loadBatches,
  ROW_BITS,
  resolveColumns,
} from "@sluice/load";
import type { Block, ManifestObject } from "@sluice/schema";
import { STOPPED_CLOCK } from "@sluice/streams";
import type { EntrySink } from "./entry-sink.ts";
import { NO_ROWS, openEntry, routeOf } from "./load-entry.ts";
import type { LoadWork } from "./load-work.ts";
import { openSource } from "./open-source.ts";
import { type LoadContext, openFile } from "./pipeline.ts";
import { withDelimiter } from "./propose-settings.ts";
import { readAhead } from "./read-ahead.ts";
import { createSpoolArea } from "./spool-area.ts";
import { compactBlock, heldBy } from "./unit-blocks.ts";

/** How each object of a unit ended; or which of them failed by themselves, and then nothing was sent. */
export type UnitOutcome =
  | { readonly kind: "loaded"; readonly files: readonly UnitFile[] }
  | { readonly kind: "failed"; readonly failures: readonly UnitFailure[] };

/** What is durable of one object. */
export interface UnitFile {
  readonly rows: number;
  readonly rejected: number;
  readonly route: string;
  readonly warnings: readonly string[];
}

export interface UnitFailure {
  /** Which object, from 0. */
  readonly at: number;
  readonly failure: StageFailure;
  /** For the engineer on call. */
  readonly technical: string;
}

/** What one object holds, cut into columns. */
interface ParsedFile {
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

/**
 * Loads several small objects with one insert. Each is read to its end before anything is sent: what fails by itself
 * leaves no row behind. What fails otherwise is thrown, and says nothing of any one of them.
 */
export async function loadUnit(
  works: readonly LoadWork[],
  given: Omit<LoadContext, "onState" | "clock">,
): Promise<UnitOutcome> {
  const [first] = works;
  if (first === undefined) throw new Error("a unit of nothing");
  const source = openSource(first.connection, given.config);
  // Access that was withdrawn ends the load wherever it stands.
  const signal = AbortSignal.any([given.signal, source.revoked]);
  const context = { ...given, signal };
  try {
    const parsed: ParsedFile[] = [];
    const failures: UnitFailure[] = [];
    const held = context.memory.part(tooMuch);
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
    if (failures.length > 0) return { kind: "failed", failures };
    return { kind: "loaded", files: await send(works, parsed, context) };
  } catch (error) {
    throw source.revoked.aborted ? source.revoked.reason : error;
  } finally {
    await source.close();
  }
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
  { config, memory, signal }: Pick<LoadContext, "config" | "memory" | "signal">,
): Promise<ParsedFile> {
  const read = await bytes;
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
      for await (const block of entry.blocks) {
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
    async *stream() {
      yield read;
    },
  };
  await openFile(file, settings, {
    object,
    config,
    signal,
    spools: createSpoolArea(config, signal),
    memory,
    sink,
    clock: STOPPED_CLOCK,
  });
  if (found === undefined) throw new Error("the file was not parsed");
  return { ...found, blocks, rows, warnings: [...warnings] };
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

/** Sends what all of them hold: those that follow each other and have the same columns, in the same batches. */
async function send(
  works: readonly LoadWork[],
  parsed: readonly ParsedFile[],
  { config, warehouse, memory, signal }: Omit<LoadContext, "onState" | "clock">,
): Promise<UnitFile[]> {
  const [first, last] = [works[0], works.at(-1)];
  if (first === undefined || last === undefined) return [];
  const { workflowId, feed, object } = first;
  const unit = works.map((work) => work.object);
  let ordinal = 0;
  let rejected = 0;
  for (const { from, to, plan } of stretches(parsed)) {
    const blocks = numbered(unit, parsed, from, to);
    const batches = batch({
      columns: plan.chosen,
      budget: memory,
      memory,
      signal,
      firstOrdinal: ordinal,
    })({ columns: plan.columns, blocks });
    const totals = await loadBatches({
      warehouse,
      workflowId,
      object,
      unit,
      feed,
      plan,
      entry: "",
      rowBase: 0,
      concurrency: config.insertConcurrency,
      signal,
    })(batches);
    ordinal += totals.batches;
    rejected += totals.rejected;
  }
  const refused =
    rejected === 0
      ? new Map<number, number>()
      : await countStagedRejects(warehouse, feed, workflowId, {
          first: object.ordinal,
          last: last.object.ordinal,
        });
  return parsed.map(({ rows, route, warnings }, at) => ({
    rows,
    rejected: refused.get(unit[at]?.ordinal ?? 0) ?? 0,
    route,
    warnings,
  }));
}

/** Files from `from` up to `to` with the same columns, which one statement takes. */
function* stretches(
  parsed: readonly ParsedFile[],
): Generator<{ readonly from: number; readonly to: number; readonly plan: ColumnPlan }> {
  const signatures = parsed.map(({ plan }) => JSON.stringify([plan.columns, plan.chosen]));
  for (let from = 0, to = 0; from < parsed.length; from = to) {
    while (to < parsed.length && signatures[to] === signatures[from]) to++;
    const { plan } = parsed[from] as ParsedFile;
    yield { from, to, plan };
  }
}

/** The blocks of some of the files, with the distance of their file's ordinal from the first one's above their row numbers. */
async function* numbered(
  unit: readonly ManifestObject[],
  parsed: readonly ParsedFile[],
  from: number,
  to: number,
): AsyncGenerator<Block> {
  const first = unit[0]?.ordinal ?? 0;
  for (let at = from; at < to; at++) {
    const distance = (unit[at]?.ordinal ?? 0) - first;
    for (const block of parsed[at]?.blocks ?? []) {
      yield { ...block, firstRow: distance * 2 ** Number(ROW_BITS) + block.firstRow };
    }
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
