import { batch } from "@sluice/batch";
import { crashPoint, StageError } from "@sluice/errors";
import {
  type Acknowledgement,
  type ColumnPlan,
  judgeFindings,
  loadBatches,
  loadSlices,
  prepareFileTables,
  type QueryPlace,
  queryFields,
  resolveColumns,
  toFileFeed,
  type Warehouse,
} from "@sluice/load";
import {
  needsCsvParse,
  openParquet,
  parseAvro,
  parseDelimited,
  parseJson,
  parseXml,
} from "@sluice/parse";
import type {
  Block,
  Feed,
  Field,
  ParsedEntry,
  Slice,
  SourceColumn,
  WantedField,
} from "@sluice/schema";
import { peek, type StageClock, UNCOUNTED, type WorkingMemory } from "@sluice/streams";
import { assertReadable } from "./assert-readable.ts";
import type { EntrySink, StreamedFormat } from "./entry-sink.ts";
import type { StageLimits } from "./limits.ts";
import type { LoadMeter } from "./load-meter.ts";
import type { Checkpoint, LoadWork } from "./load-work.ts";
import type { LoadContext } from "./pipeline.ts";
import { assertFormatOf, PROPOSAL_BYTES, withDelimiter } from "./propose-settings.ts";

/**
 * Loads the entries of one object, one after the other. Ordinals of batches go on from entry to entry, so that a
 * checkpoint is one number; so do the rows, so that of two entries' rows with one key the later entry's is newer.
 */
export interface EntryLoad extends EntrySink {
  readonly route: string;
  /** Each once; an entry's begin with its name. */
  readonly warnings: readonly string[];
}

export function createEntryLoad(
  work: LoadWork,
  { config, warehouse, memory, signal }: LoadContext,
  meter: LoadMeter,
  clock: StageClock,
): EntryLoad {
  const { workflowId, object, feed, resumeAt, query } = work;
  const routes = new Set<string>();
  const warnings = new Set<string>();
  let durable = resumeAt;
  let ordinal = 0;
  let rowBase = 0;

  const target = (entry: string, { feed, plan }: EntryTarget) => ({
    warehouse,
    workflowId,
    object,
    feed,
    plan,
    entry,
    rowBase,
    resumeAt: { ordinal: resumeAt.batches },
    concurrency: config.insertConcurrency,
    signal,
    onAcknowledged: (acknowledged: Acknowledgement): void => {
      const { rows, rejected } = acknowledged;
      durable = {
        batches: acknowledged.ordinal + 1,
        rows: durable.rows + rows,
        rejected: durable.rejected + rejected,
      };
      meter.acknowledge(durable);
    },
  });
  /** Counts what passes, whether it has to be sent again or not. */
  async function* counted<T extends { readonly ordinal: number; readonly rows: number }>(
    units: AsyncIterable<T>,
  ): AsyncGenerator<T> {
    for await (const unit of units) {
      crashPoint("thread-unit-read");
      ordinal = unit.ordinal + 1;
      rowBase += unit.rows;
      assertSameBorders(resumeAt, ordinal, rowBase);
      yield unit;
    }
  }
  const addWarnings = (entry: string, found: readonly string[]): void => {
    for (const warning of found) warnings.add(entry === "" ? warning : `${entry}: ${warning}`);
  };

  return {
    async loadStream(name, format, bytes, tag) {
      const parsed = await openWith(bytes, format, async () => {
        const wanted =
          query === undefined
            ? wantedOf(feed.fields)
            : await wantedForQuery(warehouse, query, format);
        return parserFor(format, wanted, config.limits, memory);
      });
      const into = await targetOf(work, warehouse, tag, parsed.columns).catch((error: unknown) => {
        if (format.kind !== "delimited") throw error;
        throw withDelimiter(error, format, feed, parsed.columns);
      });
      const { plan } = into;
      const records = { whole: 0, all: 0 };
      const batches = batch({
        ...config.limits.batch,
        columns: plan.chosen,
        budget: memory,
        memory,
        signal,
        firstOrdinal: ordinal,
      })({
        ...parsed,
        blocks: tallied(clock.meter("parse", parsed.blocks), records),
      });
      await loadBatches(target(name, into))(counted(clock.meter("batch", batches)));
      routes.add(`${routeOf(format)}, typed by ClickHouse`);
      addWarnings(name, plan.warnings);
      const findings = parsed.findings?.();
      if (records.all === 0 && (findings?.warnings.length ?? 0) === 0) addWarnings(name, NO_ROWS);
      if (findings === undefined) return;
      // Without a whole record all columns are absent for want of records: the rejects, or the warnings, say why.
      // A query looks for members by their names alone, and says itself what it needs.
      const isJudged = records.whole > 0 && query === undefined;
      addWarnings(name, isJudged ? judgeFindings(feed, plan, findings) : findings.warnings);
    },

    async loadParquet(name, file, where, tag) {
      const { columns, unread, leftOut, route, units } = await openParquet({
        ...config.limits.parquet,
        ...file,
        memory,
        budget: memory,
      });
      if (query === undefined) {
        assertReadable(feed, [...unread.map((name) => [name]), ...leftOut]);
      }
      const into = await targetOf(work, warehouse, tag, columns);
      const { plan } = into;
      const before = rowBase;
      // Row groups that are sent as they are: their bytes are read by the inserts.
      const parsed = route.kind === "arrow" ? clock.meter : clock.count;
      const slices = parsed("parse", units({ signal }));
      await loadSlices(target(name, into))(counted(numberedFrom(ordinal, slices)));
      const way = route.kind === "slices" ? "row groups as they are" : "decoded to Arrow";
      routes.add(`parquet, ${way}, ${where}: ${route.why}`);
      addWarnings(name, plan.warnings);
      if (rowBase === before) addWarnings(name, NO_ROWS);
    },

    addRoute: (route) => void routes.add(route),
    addWarnings: (found) => addWarnings("", found),
    get route() {
      return [...routes].join("; ");
    },
    get warnings() {
      return [...warnings];
    },
  };
}

/**
 * What is durable is passed over by the number of its batches, so they must be the batches that were sent: a worker
 * that cuts them otherwise (another release, other limits) would leave rows out, or send them twice.
 */
function assertSameBorders(resumeAt: Checkpoint, batches: number, rows: number): void {
  if (batches > resumeAt.batches) return;
  if (batches < resumeAt.batches ? rows <= resumeAt.rows : rows === resumeAt.rows) return;
  const message = "This worker cuts the file into other batches than the one that began the load.";
  throw new StageError("publish", "unverified", message, {
    seen: `${rows} rows in ${batches} batches`,
    expected: `${resumeAt.rows} rows in ${resumeAt.batches} batches`,
  });
}

/** A file without rows is loaded as such; under truncate and load it takes the table's rows away. */
export const NO_ROWS: readonly string[] = [
  "the file has no rows: where it is all that is loaded, this is a load of no rows",
];

/** Where an entry's rows go, and how its columns become theirs. */
interface EntryTarget {
  readonly feed: Feed;
  readonly plan: ColumnPlan;
}

/** The feed, or for a query the table of the entry's tag, which has the file's own columns. */
async function targetOf(
  { feed, query, workflowId, object }: LoadWork,
  warehouse: Warehouse,
  tag: string,
  columns: readonly SourceColumn[],
): Promise<EntryTarget> {
  if (query === undefined) return { feed, plan: resolveColumns(feed, columns) };
  // A query that names an archive's own tag reads all of its entries as one file.
  const named = query.tags.includes(tag) ? tag : (object.tag ?? tag);
  const file = toFileFeed(query, named, columns);
  await prepareFileTables(warehouse, workflowId, named, file);
  return { feed: file, plan: resolveColumns(file, columns) };
}

async function wantedForQuery(
  warehouse: Warehouse,
  query: QueryPlace,
  format: StreamedFormat,
): Promise<readonly WantedField[]> {
  if (format.kind === "delimited") return [];
  return await queryFields(warehouse, query, "explodePath" in format ? format.explodePath : "");
}

/** What a feed looks for in a file. */
const wantedOf = (fields: readonly Field[]): readonly WantedField[] =>
  fields.filter(({ include, lineage }) => include && lineage === undefined);

/** The units of an entry, numbered on from those of the entries before it. */
async function* numberedFrom(first: number, units: AsyncIterable<Slice>): AsyncGenerator<Slice> {
  for await (const unit of units) yield { ...unit, ordinal: first + unit.ordinal };
}

/** Counts the rows, and those whose records could be cut into fields. */
async function* tallied(
  blocks: AsyncIterable<Block>,
  records: { whole: number; all: number },
): AsyncGenerator<Block> {
  for await (const block of blocks) {
    records.all += block.rows;
    records.whole += block.rows - block.faults.length;
    yield block;
  }
}

const ROUTES: Readonly<Record<StreamedFormat["kind"], string>> = {
  delimited: "delimited text",
  json: "JSON, cut into columns",
  xml: "XML, cut into columns",
  avro: "Avro, decoded to columns",
};

/** Which parser a format goes through, in words. */
export function routeOf(format: StreamedFormat): string {
  const isFallback = format.kind === "delimited" && needsCsvParse(format);
  return isFallback ? "delimited text by csv-parse" : ROUTES[format.kind];
}

/** Begins to parse an entry, by the columns that a feed wants, once its first bytes do not look like something else. */
export async function openEntry(
  format: StreamedFormat,
  { fields }: Feed,
  limits: StageLimits,
  memory: WorkingMemory,
  bytes: AsyncIterable<Uint8Array>,
): Promise<ParsedEntry> {
  return await openWith(bytes, format, async () => parserOf(format, fields, limits, memory));
}

async function openWith(
  bytes: AsyncIterable<Uint8Array>,
  format: StreamedFormat,
  parser: () => Promise<(bytes: AsyncIterable<Uint8Array>) => Promise<ParsedEntry>>,
): Promise<ParsedEntry> {
  const peeked = await peek(bytes, PROPOSAL_BYTES);
  try {
    assertFormatOf(peeked.head, format);
    const parse = await parser();
    return await parse(peeked.bytes);
  } catch (error) {
    await peeked.close();
    throw error;
  }
}

/** The parser of a format, over the columns that the fields want. */
export function parserOf(
  format: StreamedFormat,
  fields: readonly Field[],
  limits: StageLimits,
  memory?: WorkingMemory,
): (bytes: AsyncIterable<Uint8Array>) => Promise<ParsedEntry> {
  return parserFor(format, wantedOf(fields), limits, memory);
}

function parserFor(
  format: StreamedFormat,
  wanted: readonly WantedField[],
  limits: StageLimits,
  memory: WorkingMemory = UNCOUNTED,
): (bytes: AsyncIterable<Uint8Array>) => Promise<ParsedEntry> {
  switch (format.kind) {
    case "delimited":
      return parseDelimited(format, { ...limits.delimited, memory });
    case "json":
      return parseJson(format, wanted, { ...limits.json, memory });
    case "xml":
      return parseXml(format, wanted, { ...limits.xml, memory });
    case "avro":
      return parseAvro(wanted, { ...limits.avro, memory });
  }
}
