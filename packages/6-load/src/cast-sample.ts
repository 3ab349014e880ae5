import type { Batch, Feed, Slice } from "@sluice/schema";
import { fieldColumnType } from "./columns.ts";
import { INSERT_SETTINGS } from "./insert-settings.ts";
import { type EntryPlace, input, type SlicePlace } from "./insert-statement.ts";
import {
  castRows,
  codedRows,
  type PlannedCast,
  planCasts,
  refusal,
  refusalsOf,
} from "./plan-casts.ts";
import { quoteText } from "./quoting.ts";
import type { ColumnPlan } from "./resolve-columns.ts";
import type { Warehouse } from "./warehouse.ts";

/** A value as a load would store it. */
export interface SampledCell {
  /** As text; null for null, and for a value that is refused. */
  readonly value: string | null;
  /** Why the field refuses it; empty when it does not. */
  readonly code: string;
  /** What the file says, when it is refused. */
  readonly raw: string;
  /** Whether `value` was cut. */
  readonly isCut: boolean;
}

/** A row as a load would stage it, or refuse it. */
export interface SampledRow {
  readonly row: number;
  readonly byteOffset: number;
  /** One for each field of the plan. */
  readonly cells: readonly SampledCell[];
  /** Set for a row that is refused: the first reason. */
  readonly reject?: {
    readonly stage: "parse" | "cast";
    readonly code: string;
    readonly field: string;
    readonly value: string;
    readonly message: string;
  };
}

/** The rows to cast: the body of a batch, or a slice. */
export type Sample =
  | { readonly kind: "batch"; readonly batch: Pick<Batch, "body" | "byteLength"> }
  | { readonly kind: "slice"; readonly slice: Slice };

/** How many of them, and how. */
export interface SampleOptions {
  readonly feed: Pick<Feed, "fields" | "primaryKey">;
  readonly plan: ColumnPlan;
  /** For fields that take where a row comes from. */
  readonly key: string;
  readonly entry: string;
  readonly maxRows: number;
  /** Bytes of a value that are shown. */
  readonly maxValueBytes: number;
  readonly signal: AbortSignal;
}

interface RawRow {
  readonly _row: string;
  readonly _offset: string;
  readonly cells: readonly (string | null)[];
  readonly cut: readonly (0 | 1)[];
  readonly codes: readonly string[];
  readonly raws: readonly string[];
  readonly stage: "parse" | "cast";
  readonly code: string;
  readonly field: string;
  readonly value: string;
  readonly message: string;
}

/**
 * Casts the first rows of a batch or a slice by the very SELECT that a load inserts with, and keeps nothing: the rows
 * go through a temporary table of one session.
 */
export async function castSample(
  warehouse: Warehouse,
  sample: Sample,
  options: SampleOptions,
): Promise<readonly SampledRow[]> {
  const { plan, maxRows, signal } = options;
  const feed: Feed = { ...PLACELESS_FEED, ...options.feed };
  const slice = sample.kind === "slice" ? sample.slice : undefined;
  const casts = planCasts(feed, plan, slice === undefined ? "text" : "native");
  const checked = casts.filter((planned) => refusal(planned) !== undefined);
  const statement = sampleStatement({ ...options, feed }, casts, checked, slice);
  const format = slice?.format ?? "ArrowStream";
  const insert = `INSERT INTO _sample ${statement} FORMAT ${format}`;
  const at = checked.map((planned) => casts.indexOf(planned));
  const rows = await warehouse.session(async (session) => {
    await session.execute(`CREATE TEMPORARY TABLE _sample (${TABLE})`);
    await session.insert({
      statement: insert,
      body: sample.kind === "batch" ? sample.batch.body : (inner) => sample.slice.open(inner),
      byteLength: sample.kind === "batch" ? sample.batch.byteLength : sample.slice.byteLength,
      settings: {
        ...INSERT_SETTINGS,
        // Only the head of a row group is decoded.
        max_block_size: String(maxRows),
        input_format_parquet_max_block_size: String(maxRows),
        log_queries: "0",
      },
      signal,
    });
    return await session.query<RawRow>("SELECT * FROM _sample ORDER BY _row");
  });
  return rows.map((row) => toSampledRow(row, at, casts.length));
}

/** What a sample has no need of: nothing is staged, so nothing has a place. */
const PLACELESS_FEED: Omit<Feed, "fields" | "primaryKey"> = {
  id: "",
  source: "",
  name: "",
  version: 0,
  errorThresholdPercent: 100,
  makeAvailableToStitch: false,
};

const COLUMNS: Readonly<Record<keyof RawRow, string>> = {
  _row: "UInt64",
  _offset: "UInt64",
  cells: "Array(Nullable(String))",
  cut: "Array(UInt8)",
  codes: "Array(String)",
  raws: "Array(String)",
  stage: "String",
  code: "String",
  field: "String",
  value: "String",
  message: "String",
};
const TABLE = Object.entries(COLUMNS)
  .map(([name, type]) => `${name} ${type}`)
  .join(", ");

function sampleStatement(
  options: SampleOptions & { readonly feed: Feed },
  casts: readonly PlannedCast[],
  checked: readonly PlannedCast[],
  slice: SlicePlace | undefined,
): string {
  const { feed, plan, key, entry, maxRows, maxValueBytes } = options;
  const place: EntryPlace = {
    feed,
    plan,
    entry,
    workflowId: "",
    rowBase: 0,
    object: { bucket: "", key, etag: "", size: 0, ordinal: 0 },
  };
  const { codes, columns } = refusalsOf(casts);
  const isFaulty = "isNotNull(_fault_code)";
  const shown = (text: string): string => `toValidUTF8(substring(${text}, 1, ${maxValueBytes}))`;
  const array = (items: readonly string[], type: string): string =>
    `CAST([${items.join(", ")}], ${quoteText(`Array(${type})`)})`;
  const text = ({ value, field }: PlannedCast): string =>
    fieldColumnType(field.type) === "String" ? value : `toString(${value})`;
  const raws = checked.map(
    ({ raw }, at) => `if(_codes[${at + 1}] = '', '', ${shown(`ifNull(toString(${raw}), '')`)})`,
  );
  const select: Readonly<Record<keyof RawRow, string>> = {
    _row: "_row",
    _offset: "_offset",
    cells: array(
      casts.map((planned) => shown(text(planned))),
      "Nullable(String)",
    ),
    cut: array(
      casts.map((planned) => `ifNull(length(${text(planned)}) > ${maxValueBytes}, 0)`),
      "UInt8",
    ),
    codes: "_codes",
    raws: array(raws, "String"),
    stage: `if(${isFaulty}, 'parse', 'cast')`,
    code: `if(${isFaulty}, ifNull(_fault_code, ''), ${columns.code})`,
    field: `if(${isFaulty}, '', ${columns.field})`,
    value: shown(`if(${isFaulty}, ifNull(_fault_raw, ''), ${columns.value})`),
    message: `if(${isFaulty}, ifNull(_fault_message, ''), if(${columns.code} = '', '', ${columns.message}))`,
  };
  const from = codedRows(
    casts,
    codes,
    `SELECT * FROM (${castRows(casts, input(place, slice))}) LIMIT ${maxRows}`,
  );
  const names = Object.keys(COLUMNS) as (keyof RawRow)[];
  return `(${names.join(", ")}) SELECT ${names.map((name) => `${select[name]} AS s_${name}`).join(", ")} FROM (${from})`;
}

function toSampledRow(row: RawRow, checkedAt: readonly number[], width: number): SampledRow {
  const { stage, code, field, value, message } = row;
  const isFaulty = stage === "parse";
  const codes = new Map(checkedAt.map((at, index) => [at, index]));
  const cells = Array.from({ length: isFaulty ? 0 : width }, (_, at): SampledCell => {
    const index = codes.get(at);
    return {
      value: row.cells[at] ?? null,
      code: index === undefined ? "" : (row.codes[index] ?? ""),
      raw: index === undefined ? "" : (row.raws[index] ?? ""),
      isCut: row.cut[at] === 1,
    };
  });
  return {
    row: Number(row._row),
    byteOffset: Number(row._offset),
    cells,
    ...(code === "" ? {} : { reject: { stage, code, field, value, message } }),
  };
}
