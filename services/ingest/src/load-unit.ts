import { batch } from "@sluice/batch";
import type { StageFailure } from "@sluice/errors";
import { type ColumnPlan, countStagedRejects, loadBatches, ROW_BITS } from "@sluice/load";
import type { Block, ManifestObject } from "@sluice/schema";
import type { StageReport } from "@sluice/streams";
import type { LoadWork } from "./load-work.ts";
import { openSource } from "./open-source.ts";
import { type ParsedFile, parseAll } from "./parse-unit.ts";
import type { LoadContext } from "./pipeline.ts";

/** How each object of a unit ended; or which of them failed by themselves, and then nothing was sent. */
export type UnitOutcome =
  | {
      readonly kind: "loaded";
      readonly files: readonly UnitFile[];
      /** Where the time of all of them went, if that was measured. */
      readonly time?: StageReport;
    }
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

/** A unit has no state in between: nothing of it is durable before its end. */
export type UnitContext = Omit<LoadContext, "onState">;

/**
 * Loads several small objects with one insert. Each is read to its end before anything is sent: what fails by itself
 * leaves no row behind. What fails otherwise is thrown, and says nothing of any one of them.
 */
export async function loadUnit(
  works: readonly LoadWork[],
  given: UnitContext,
): Promise<UnitOutcome> {
  const [first] = works;
  if (first === undefined) throw new Error("a unit of nothing");
  const source = openSource(first.connection, given.config, {
    platformSessions: given.platformSessions,
  });
  // Access that was withdrawn ends the load wherever it stands.
  const signal = AbortSignal.any([given.signal, source.revoked]);
  const context = { ...given, signal };
  try {
    // The first batch needs all of them.
    const { clock } = context;
    const { parsed, failures } = await clock.time("batch", () => parseAll(works, source, context));
    if (failures.length > 0) return { kind: "failed", failures };
    const files = await send(works, parsed, context);
    const time = clock.report();
    return { kind: "loaded", files, ...(time && { time }) };
  } catch (error) {
    throw source.revoked.aborted ? source.revoked.reason : error;
  } finally {
    await source.close();
  }
}

/** Sends what all of them hold: those that follow each other and have the same columns, in the same batches. */
async function send(
  works: readonly LoadWork[],
  parsed: readonly ParsedFile[],
  { config, warehouse, memory, signal, clock }: UnitContext,
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
    })(clock.meter("batch", batches));
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
