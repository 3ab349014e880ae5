import { batch } from "@sluice/batch";
import { StageError } from "@sluice/errors";
import {
  type ColumnPlan,
  castSample,
  judgeFindings,
  matchColumns,
  resolveColumns,
  type SampledRow,
} from "@sluice/load";
import { openParquet } from "@sluice/parse";
import type { Block, Feed, Findings, ParsedEntry, Slice, SourceColumn } from "@sluice/schema";
import { peek } from "@sluice/streams";
import { assertReadable } from "../assert-readable.ts";
import type { StreamedFormat } from "../entry-sink.ts";
import type { StageLimits } from "../limits.ts";
import { parserOf, routeOf } from "../load-entry.ts";
import type { SeekableFile } from "../pipeline.ts";
import { assertFormatOf, PROPOSAL_BYTES, withDelimiter } from "../propose-settings.ts";
import { ENOUGH } from "./enough.ts";
import type { LookContext, Show, Viewer } from "./look-at-object.ts";
import { memberNames } from "./member-names.ts";
import { feedOf, type Typing, textField } from "./typing.ts";

/** The first rows of a file. */
export interface TableSeen {
  /** What each cell stands for: the included fields, or, without a typing, one text field for each column. */
  readonly plan: ColumnPlan;
  readonly rows: readonly SampledRow[];
  readonly hasMore: boolean;
  /** What the records that were read told beside their rows, where they name their own fields. */
  readonly findings?: Findings | undefined;
}

export interface TableOptions {
  readonly key: string;
  /** Undefined for the values as the file has them. */
  readonly typing: Typing | undefined;
  readonly maxRows: number;
  /** Bytes of plain content after which no further record is looked at. */
  readonly maxBytes: number;
  /** Shows what there is of a file that does not match the fields; a load refuses it, and so does a preview. */
  readonly isLenient?: boolean;
}

const MAX_VALUE_BYTES = 4096;

/** Rows and columns, cut and cast by the very code that a load runs through. */
export function tableView(options: TableOptions, context: LookContext): Viewer<TableSeen> {
  const { typing, maxRows, maxBytes, key, isLenient = false } = options;
  const { config, warehouse, memory, signal } = context;
  const limits = withSmallBlocks(config.limits, maxRows + 1, maxBytes);
  const cast = async (
    entry: string,
    plan: ColumnPlan,
    sample: Parameters<typeof castSample>[1],
  ): Promise<readonly SampledRow[]> => {
    const fields = plan.fields.map(({ field }) => field);
    const isThere = (name: string): boolean =>
      plan.fields.some(
        ({ field, column }) =>
          field.name === name && (column !== undefined || field.lineage !== undefined),
      );
    return await castSample(warehouse, sample, {
      // A key without a column is told as such, and not of every row again.
      feed: { fields, primaryKey: typing?.primaryKey.filter(isThere) ?? [] },
      plan,
      key,
      entry,
      maxRows,
      maxValueBytes: MAX_VALUE_BYTES,
      signal,
    });
  };
  const planOf = (columns: readonly SourceColumn[]): ColumnPlan =>
    typing === undefined ? everyColumn(columns) : resolve(feedOf(typing), columns);
  const resolve = (feed: Feed, columns: readonly SourceColumn[]): ColumnPlan =>
    isLenient ? matchColumns(feed, columns).plan : resolveColumns(feed, columns);

  /** The rows of one block, as a load would send them. */
  function planOfStream(format: StreamedFormat, columns: ParsedEntry["columns"]): ColumnPlan {
    try {
      return planOf(columns);
    } catch (error) {
      if (typing === undefined || format.kind !== "delimited") throw error;
      throw withDelimiter(error, format, feedOf(typing), columns);
    }
  }

  async function castBlock(
    name: string,
    parsed: ParsedEntry,
    plan: ColumnPlan,
    block: Block,
  ): Promise<readonly SampledRow[]> {
    async function* only(): AsyncGenerator<Block> {
      yield block;
    }
    const toBatches = batch({ columns: plan.chosen, budget: memory, memory, maxRows, signal });
    for await (const sample of toBatches({ ...parsed, blocks: only() })) {
      try {
        return await cast(name, plan, { kind: "batch", batch: sample });
      } finally {
        sample.release();
      }
    }
    return [];
  }

  async function showStream(
    name: string,
    format: StreamedFormat,
    bytes: AsyncIterable<Uint8Array>,
    show: Show<TableSeen>,
  ): Promise<void> {
    const isUnnamed = typing === undefined && format.kind !== "delimited";
    const wanted = isUnnamed ? maxBytes : PROPOSAL_BYTES;
    const peeked = await peek(bytes, wanted);
    let parsed: ParsedEntry;
    try {
      assertFormatOf(peeked.head, format);
      const fields = typing?.fields ?? (await memberNames(peeked, wanted, format, limits));
      parsed = await parserOf(format, fields, limits, memory)(peeked.bytes);
    } catch (error) {
      await peeked.close();
      throw error;
    }
    show.route(`${routeOf(format)}, typed by ClickHouse`);
    const plan = planOfStream(format, parsed.columns);
    show.warn(plan.warnings);
    const blocks = parsed.blocks[Symbol.asyncIterator]();
    try {
      const first = await blocks.next();
      if (first.done) {
        show({ plan, rows: [], hasMore: false });
        return;
      }
      const block = first.value;
      const rows = await castBlock(name, parsed, plan, block);
      const isCut = block.rows > rows.length;
      show({ plan, rows, hasMore: isCut, findings: parsed.findings?.() });
      if (isCut) throw ENOUGH;
      // Few enough to be all of them: the rest is read, to the last check of every layer.
      if (!(await blocks.next()).done) {
        show({ plan, rows, hasMore: true, findings: parsed.findings?.() });
        throw ENOUGH;
      }
      const findings = parsed.findings?.();
      if (findings === undefined) return;
      show({ plan, rows, hasMore: false, findings });
      const isJudged = typing !== undefined && !isLenient && block.rows > block.faults.length;
      show.warn(isJudged ? judgeFindings(feedOf(typing), plan, findings) : findings.warnings);
    } finally {
      await blocks.return?.();
    }
  }

  async function showParquet(
    name: string,
    file: SeekableFile,
    where: string,
    show: Show<TableSeen>,
  ): Promise<void> {
    const parquet = await openParquet({
      ...config.limits.parquet,
      ...file,
      memory,
      budget: memory,
    });
    const { columns, unread, leftOut, route, units } = parquet;
    const missing = [...unread.map((column) => [column]), ...leftOut];
    if (typing !== undefined) assertReadable(feedOf(typing), missing);
    const way = route.kind === "slices" ? "row groups as they are" : "decoded to Arrow";
    show.route(`parquet, ${way}, ${where}: ${route.why}`);
    const plan = planOf(columns);
    show.warn(plan.warnings);
    let rows: readonly SampledRow[] = [];
    for await (const slice of units({ signal })) {
      try {
        assertShowable(slice, config.maxPreviewSpoolBytes);
        rows = await cast(name, plan, { kind: "slice", slice });
      } finally {
        slice.release?.();
      }
      break;
    }
    show({ plan, rows, hasMore: rows.length < parquet.rows });
    if (rows.length < parquet.rows) throw ENOUGH;
  }

  return { stream: showStream, parquet: showParquet };
}

function assertShowable({ byteLength, byteOffset }: Slice, maxBytes: number): void {
  if (byteLength <= maxBytes) return;
  const message = `The first row group has ${byteLength} bytes, more than a preview reads: SLUICE_MAX_PREVIEW_SPOOL_MIB = ${maxBytes / 2 ** 20}. A load streams it and may well take it.`;
  throw new StageError("parse", "record_too_large", message, { byteOffset });
}

/** Blocks that hold just what is shown; what one record may be stays as it is. */
function withSmallBlocks(
  limits: StageLimits,
  maxBlockRows: number,
  maxBlockBytes: number,
): StageLimits {
  const small = { maxBlockRows, maxBlockBytes };
  const { delimited, json, xml, avro } = limits;
  return {
    ...limits,
    delimited: { ...delimited, ...small },
    json: { ...json, ...small },
    xml: { ...xml, ...small },
    avro: { ...avro, ...small },
  };
}

/** Every column of a file as text. */
function everyColumn(columns: readonly SourceColumn[]): ColumnPlan {
  return {
    fields: columns.map((column, sourceIndex) => ({
      field: textField(column.name, column.path),
      sourceIndex,
      column,
    })),
    chosen: columns.map((_, index) => index),
    columns,
    warnings: [],
  };
}
