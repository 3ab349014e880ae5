import type { Feed, ManifestObject, Slice } from "@sluice/schema";
import { carried } from "./cast/carried-value.ts";
import { readType } from "./cast/source-type.ts";
import { toTypedText } from "./cast/typed-text.ts";
import { includedFields, LINEAGE_COLUMNS, REJECT_COLUMNS } from "./columns.ts";
import {
  type Carriage,
  castRows,
  codedRows,
  fieldSql,
  type PlannedCast,
  planCasts,
  planUsualCasts,
  refusal,
  refusalsOf,
  sharedRows,
  updatedValue,
} from "./plan-casts.ts";
import { quoteIdentifier, quoteText } from "./quoting.ts";
import { describeColumns, recordText } from "./record.ts";
import type { ColumnPlan } from "./resolve-columns.ts";
import { stagingRejectsTable, stagingTable, type TableName } from "./table-names.ts";

/** What the rows of one entry have in common. */
export interface EntryPlace {
  readonly feed: Feed;
  readonly workflowId: string;
  readonly object: ManifestObject;
  /** The name inside an archive; empty for the object itself. */
  readonly entry: string;
  /**
   * Rows of the object's entries before this one, so that of two rows of one key the later entry's is the
   * newer; 0 for the object itself.
   */
  readonly rowBase: number;
  readonly plan: ColumnPlan;
  /**
   * Set for the rows of several objects, `object` being the first: each row's number has the distance of its object's
   * ordinal from the first one's above its lowest `ROW_BITS`.
   */
  readonly unit?: readonly ManifestObject[];
}

/** Where a slice's rows start, and how it is written; batches carry this in their own columns. */
export type SlicePlace = Pick<Slice, "format" | "firstRow" | "byteOffset">;

/** The two halves of one insert: the same body goes to one, and to the other if rows are missing. */
export interface SplitStatements {
  readonly rows: string;
  readonly rejects: string;
}

/**
 * The parts of one insert, to which the same body goes until no row is missing: each takes rows that the others leave,
 * in whatever order they are sent.
 */
export interface InsertStatements extends SplitStatements {
  /** Good rows with values in forms that `rows` leaves out; absent where it takes all good rows. */
  readonly rare?: string;
}

/** Bits of `_updated` that count the rows of one object. */
export const ROW_BITS = 37n;

/** Where the rows of an object start among all rows of the domain table's life. */
export function placeBase({ object, rowBase }: Pick<EntryPlace, "object" | "rowBase">): bigint {
  if (!Number.isSafeInteger(rowBase) || rowBase < 0 || BigInt(rowBase) >> ROW_BITS > 0n) {
    throw new RangeError(`rowBase = ${rowBase} is no number of rows below 2^37`);
  }
  return (BigInt(object.ordinal) << ROW_BITS) + BigInt(rowBase);
}

/** The file's columns as `c<index>`, and the coordinate columns `_file`, `_entry`, `_row`, `_place`, `_offset` and `_fault_*`. */
export function input(place: EntryPlace, slice: SlicePlace | undefined): string {
  const { plan, unit } = place;
  const base = placeBase(place);
  if (unit !== undefined) return unitInput(place, unit, base);
  const origin = `${quoteText(place.object.key)} AS _file, ${quoteText(place.entry)} AS _entry`;
  if (slice === undefined) {
    const columns = plan.chosen.map((index) => `c${index} Nullable(String)`);
    const structure = [
      ...columns,
      "_row UInt64",
      "_offset UInt64",
      "_fault_code Nullable(String)",
      "_fault_message Nullable(String)",
      "_fault_raw Nullable(String)",
    ];
    return `SELECT *, ${origin}, toUInt64(${base} + _row) AS _place FROM input(${quoteText(structure.join(", "))})`;
  }
  const chosen = chosenColumns(plan);
  const structure = chosen
    .map(({ name, type }) => `${quoteIdentifier(name)} ${readType(type)}`)
    .join(", ");
  const renamed = chosen.map(
    ({ name, type, index }) => `${carried(quoteIdentifier(name), type)} AS c${index}`,
  );
  return (
    `SELECT ${[...renamed, `toUInt64(${slice.firstRow} + rowNumberInAllBlocks()) AS _row`].join(", ")}, ` +
    `${origin}, toUInt64(${base} + _row) AS _place, ` +
    `toUInt64(${slice.byteOffset}) AS _offset, CAST(NULL, 'Nullable(String)') AS _fault_code, ` +
    "CAST(NULL, 'Nullable(String)') AS _fault_message, CAST(NULL, 'Nullable(String)') AS _fault_raw " +
    `FROM input(${quoteText(structure)})`
  );
}

/** The same of the rows of several objects, with `_etag` beside `_file`. */
function unitInput(
  { plan, object }: EntryPlace,
  unit: readonly ManifestObject[],
  base: bigint,
): string {
  const columns = plan.chosen.map((index) => `c${index}`);
  const faults = ["_fault_code", "_fault_message", "_fault_raw"];
  const structure = [
    ...columns.map((name) => `${name} Nullable(String)`),
    "_row UInt64",
    "_offset UInt64",
    ...faults.map((name) => `${name} Nullable(String)`),
  ];
  const distances = unit.map(({ ordinal }) => ordinal - object.ordinal);
  const of = (texts: readonly string[]): string =>
    `transform(bitShiftRight(_numbered, ${ROW_BITS}), [${distances.join(", ")}], [${texts.map(quoteText).join(", ")}], '')`;
  const kept = [...columns, "_offset", ...faults];
  return (
    `SELECT ${kept.join(", ")}, bitAnd(_numbered, toUInt64(${2n ** ROW_BITS - 1n})) AS _row, ` +
    `${of(unit.map(({ key }) => key))} AS _file, '' AS _entry, ` +
    `${of(unit.map(({ etag }) => etag))} AS _etag, toUInt64(${base} + _numbered) AS _place ` +
    `FROM (SELECT ${kept.join(", ")}, _row AS _numbered FROM input(${quoteText(structure.join(", "))}))`
  );
}

/** SQL of the file that a row of `input` is of, and of its version. */
const fileOf = ({ unit, object }: EntryPlace): string =>
  unit === undefined ? quoteText(object.key) : "_file";
const etagOf = ({ unit, object }: EntryPlace): string =>
  unit === undefined ? quoteText(object.etag) : "_etag";

const chosenColumns = (plan: ColumnPlan) =>
  plan.chosen.flatMap((index) => {
    const column = plan.columns[index];
    return column === undefined ? [] : [{ ...column, index }];
  });

/** What the rejects insert selects: the refused rows with the first of their reasons. */
interface RejectSelect {
  readonly columns: Readonly<Record<string, string>>;
  readonly from: string;
}

function selectRejects(
  place: EntryPlace,
  casts: readonly PlannedCast[],
  carriage: Carriage,
  from: string,
  bad: string,
): RejectSelect {
  const { codes, columns } = refusalsOf(casts);
  const chosen = chosenColumns(place.plan);
  const record = recordText(
    chosen.map(({ index, ...column }) => ({
      column,
      text: carriage === "text" ? `c${index}` : toTypedText(`c${index}`, column.type),
    })),
  );
  const unlessFaulty = (column: string, otherwise: string): string =>
    `if(isNotNull(_fault_code), ifNull(${column}, ''), ${otherwise})`;
  return {
    from: codedRows(casts, codes, `SELECT * FROM (${castRows(casts, from)}) WHERE ${bad}`),
    columns: {
      _workflow: quoteText(place.workflowId),
      _file: fileOf(place),
      _entry: quoteText(place.entry),
      _row: "_row",
      _offset: "_offset",
      stage: "if(isNotNull(_fault_code), 'parse', 'cast')",
      code: unlessFaulty("_fault_code", columns.code),
      field: unlessFaulty("''", columns.field),
      value: unlessFaulty("substring(_fault_raw, 1, 4096)", columns.value),
      message: unlessFaulty("_fault_message", columns.message),
      record: unlessFaulty("_fault_raw", record),
      time: "now64(3, 'UTC')",
      _etag: etagOf(place),
      _place: "_place",
      _feed_version: `toUInt32(${place.feed.version})`,
      _columns: `if(isNotNull(_fault_code), '', ${quoteText(describeColumns(chosen))})`,
      _healed_by: "''",
    },
  };
}

const list = (names: readonly string[]): string => names.map(quoteIdentifier).join(", ");

/** `INSERT INTO <staging> (...) SELECT ...` of the rows that pass; `from` has their `v<index>` and places. */
export function insertRows(
  feed: Feed,
  workflowId: string,
  casts: readonly PlannedCast[],
  from: string,
  lineage: Lineage,
  into: TableName = stagingTable({ source: feed.source, name: feed.name }, workflowId),
): string {
  return `${insertInto(feed, workflowId, casts, lineage, into, ({ value }) => value)} FROM (${from})`;
}

/** SQL of where a row comes from. */
interface Lineage {
  readonly file: string;
  readonly entry: string;
}

function insertInto(
  feed: Feed,
  workflowId: string,
  casts: readonly PlannedCast[],
  lineage: Lineage,
  into: TableName,
  sqlOf: (planned: PlannedCast) => string,
): string {
  const values = [
    ...casts.map((planned) =>
      planned.isKey ? `assumeNotNull(${sqlOf(planned)})` : sqlOf(planned),
    ),
    updatedValue(feed, casts),
    lineage.file,
    lineage.entry,
    "_row",
    quoteText(workflowId),
  ];
  const columns = [
    ...includedFields(feed).map(({ name }) => name),
    ...LINEAGE_COLUMNS.map(({ name }) => name),
  ];
  return `INSERT INTO ${into.sql} (${list(columns)}) SELECT ${values.join(", ")}`;
}

/**
 * The same in one SELECT, over the raw columns of `from`: what takes the server longest of a short statement over many
 * columns is each SELECT around another, 1.1 CPU seconds against 0.4 for 200 columns.
 */
function insertTaken(
  { feed, workflowId }: EntryPlace,
  casts: readonly PlannedCast[],
  from: string,
  lineage: Lineage,
  into: TableName,
  refused: string,
): string {
  const named = (planned: PlannedCast): string => `(${fieldSql(planned)} AS ${planned.value})`;
  const insert = insertInto(feed, workflowId, casts, lineage, into, named);
  const where = `WHERE NOT (${refused})`;
  return `${insert} FROM (${sharedRows(casts, from, `${insert} ${where}`)}) ${where}`;
}

/** 1 for rows that any field refuses. */
export function refusedByAny(casts: readonly PlannedCast[], more: readonly string[] = []): string {
  const conditions = [...more, ...casts.flatMap((planned) => refusal(planned) ?? [])];
  return conditions.length === 0 ? "0" : conditions.join(" OR ");
}

/** Where the two halves of an insert go. */
export interface InsertTargets {
  readonly rows: TableName;
  readonly rejects: TableName;
}

/**
 * The two statements over the rows of `from`, which has raw columns `c<index>` and those of `input`: they part its rows,
 * what one takes the other leaves.
 */
export function splitRows(
  place: EntryPlace,
  carriage: Carriage,
  from: string,
  into: InsertTargets,
): SplitStatements {
  const { feed, workflowId } = place;
  const casts = planCasts(feed, place.plan, carriage);
  const bad = refusedByAny(casts, carriage === "text" ? ["isNotNull(_fault_code)"] : []);
  const lineage = { file: fileOf(place), entry: quoteText(place.entry) };
  const good = `SELECT * FROM (${castRows(casts, from)}) WHERE NOT (${bad})`;
  const rejects = selectRejects(place, casts, carriage, from, bad);
  const rejectNames = REJECT_COLUMNS.map(({ name }) => name);
  return {
    rows: insertRows(feed, workflowId, casts, good, lineage, into.rows),
    rejects:
      `INSERT INTO ${into.rejects.sql} (${list(rejectNames)}) ` +
      `SELECT ${rejectNames.map((name) => rejects.columns[name] ?? "''").join(", ")} FROM (${rejects.from})`,
  };
}

/** The statements of an entry (of one slice of it, if given), which read the same body. */
export function insertStatements(place: EntryPlace, slice?: SlicePlace): InsertStatements {
  const { feed, plan, workflowId, entry } = place;
  const at = { source: feed.source, name: feed.name };
  const format = (statement: string): string =>
    `${statement} FORMAT ${slice?.format ?? "ArrowStream"}`;
  const carriage = slice === undefined ? "text" : "native";
  const from = input(place, slice);
  const into = {
    rows: stagingTable(at, workflowId),
    rejects: stagingRejectsTable(at, workflowId),
  };
  const lineage = { file: fileOf(place), entry: quoteText(entry) };
  const faulty = carriage === "text" ? ["isNotNull(_fault_code)"] : [];
  const usual = planUsualCasts(feed, plan, carriage);
  const casts = usual ?? planCasts(feed, plan, carriage);
  const left = refusedByAny(casts, faulty);
  const others =
    usual === undefined ? from : `SELECT * FROM (${castRows(usual, from)}) WHERE ${left}`;
  const rest = splitRows(place, carriage, others, into);
  return {
    rows: format(insertTaken(place, casts, from, lineage, into.rows, left)),
    ...(usual !== undefined && { rare: format(rest.rows) }),
    rejects: format(rest.rejects),
  };
}
