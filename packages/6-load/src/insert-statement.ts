import type { Feed, ManifestObject } from "@sluice/schema";
import { castNative, readType } from "./cast/cast-native.ts";
import { castText } from "./cast/cast-text.ts";
import type { FieldCast } from "./cast/field-cast.ts";
import { fieldColumnType, includedFields, LINEAGE_COLUMNS, REJECT_COLUMNS } from "./columns.ts";
import { quoteIdentifier, quoteText } from "./quoting.ts";
import type { ColumnPlan, PlannedField } from "./resolve-columns.ts";
import { stagingRejectsTable, stagingTable } from "./table-names.ts";

/** What the rows of one entry have in common. */
export interface EntryPlace {
  readonly feed: Feed;
  readonly workflowId: string;
  readonly object: ManifestObject;
  /** The name inside an archive; empty for the object itself. */
  readonly entry: string;
  readonly plan: ColumnPlan;
}

/** Where a slice's rows start; batches carry this in their own columns. */
export interface SlicePlace {
  readonly firstRow: number;
  readonly byteOffset: number;
}

/** The two halves of one insert: the same body goes to one, and to the other if rows are missing. */
export interface InsertStatements {
  readonly rows: string;
  readonly rejects: string;
}

/** A raw value in the quarantine is cut after this many bytes. */
const MAX_REJECT_VALUE_BYTES = 4096;

interface PlannedCast extends PlannedField {
  readonly raw: string;
  readonly value: string;
  readonly isKey: boolean;
  readonly cast: FieldCast | undefined;
}

const isText = (type: string): boolean => type === "Nullable(String)" || type === "String";

function planCasts({ feed, plan }: EntryPlace): PlannedCast[] {
  return plan.fields.map((planned, at) => {
    const { field, sourceIndex, column } = planned;
    const raw = `c${sourceIndex}`;
    const value = `v${at}`;
    const isKey = feed.primaryKey.includes(field.name);
    if (column === undefined) return { ...planned, raw, value, isKey, cast: undefined };
    const cast = isText(column.type)
      ? castText(raw, value, field)
      : castNative(raw, column.type, value, field);
    return { ...planned, raw, value, isKey, cast };
  });
}

const nullable = (type: string): string =>
  /^(Nullable|Array|Map|Tuple|JSON|Variant|Dynamic)/.test(type) ? type : `Nullable(${type})`;

/** The file's columns as `c<index>`, and the coordinate columns `_row`, `_offset` and `_fault_*`. */
function input({ plan }: EntryPlace, slice: SlicePlace | undefined): string {
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
    return `SELECT * FROM input(${quoteText(structure.join(", "))})`;
  }
  const chosen = plan.chosen.flatMap((index) => {
    const column = plan.columns[index];
    return column === undefined ? [] : [{ ...column, index }];
  });
  const structure = chosen
    .map(({ name, type }) => `${quoteIdentifier(name)} ${nullable(readType(type))}`)
    .join(", ");
  const renamed = chosen.map(({ name, index }) => `${quoteIdentifier(name)} AS c${index}`);
  return (
    `SELECT ${[...renamed, `toUInt64(${slice.firstRow} + rowNumberInAllBlocks()) AS _row`].join(", ")}, ` +
    `toUInt64(${slice.byteOffset}) AS _offset, CAST(NULL, 'Nullable(String)') AS _fault_code, ` +
    "CAST(NULL, 'Nullable(String)') AS _fault_message, CAST(NULL, 'Nullable(String)') AS _fault_raw " +
    `FROM input(${quoteText(structure)})`
  );
}

const refused = ({ cast, value, isKey }: PlannedCast): string | undefined => {
  if (isKey) return `isNull(${value})`;
  if (cast === undefined || cast.present === `isNotNull(${value})`) return undefined;
  return `(isNull(${value}) AND ${cast.present})`;
};

/** What the casts share, as aliases in front of a SELECT that uses them. */
function withShared(casts: readonly PlannedCast[]): string {
  const shared = casts.flatMap(({ cast }) => cast?.shared ?? []);
  if (shared.length === 0) return "";
  return `WITH ${shared.map(({ name, sql }) => `${sql} AS ${name}`).join(", ")} `;
}

/** Rows of the file with `v<field>` beside the raw columns. */
function castRows(
  place: EntryPlace,
  casts: readonly PlannedCast[],
  slice: SlicePlace | undefined,
): string {
  const values = casts.map(({ cast, value, field }) =>
    cast === undefined
      ? `CAST(NULL, 'Nullable(${fieldColumnType(field.type).replaceAll("'", "\\'")})') AS ${value}`
      : `${cast.value} AS ${value}`,
  );
  return `${withShared(casts)}SELECT *, ${values.join(", ")} FROM (${input(place, slice)})`;
}

/**
 * `_updated`: the last-updated value as an unsigned number of the same order (null counts as lowest, 0
 * when generated), then 27 bits of the object's ordinal, then 37 bits of the row.
 */
function updated({ feed, object }: EntryPlace, casts: readonly PlannedCast[]): string {
  const place = `toUInt128(${BigInt(object.ordinal) << 37n} + _row)`;
  const found = casts.find(({ field }) => field.name === feed.lastUpdatedField);
  if (found === undefined) return place;
  const signed =
    found.field.type.kind === "datetime" ? `toUnixTimestamp64Micro(${found.value})` : found.value;
  const ordered = `ifNull(bitXor(reinterpretAsUInt64(assumeNotNull(${signed})), 9223372036854775808), 0)`;
  return `bitOr(bitShiftLeft(toUInt128(if(isNull(${found.value}), 0, ${ordered})), 64), ${place})`;
}

/** What the rejects insert selects: the refused rows with the first of their reasons. */
interface RejectSelect {
  readonly columns: Readonly<Record<string, string>>;
  readonly from: string;
}

function selectRejects(
  place: EntryPlace,
  casts: readonly PlannedCast[],
  from: string,
  bad: string,
): RejectSelect {
  const checked = casts.flatMap((planned) => {
    const condition = refused(planned);
    return condition === undefined ? [] : [{ ...planned, condition }];
  });
  const texts = (items: readonly string[]): string =>
    items.length === 0 ? "CAST([], 'Array(String)')" : `[${items.join(", ")}]`;
  const codes = checked.map(({ cast, isKey, condition }) => {
    const code = `if(${cast?.outOfRange ?? "0"}, 'out_of_range', 'bad_value')`;
    const present = cast?.present ?? "0";
    return `if(${condition}, ${isKey ? `if(${present}, ${code}, 'primary_key_null')` : code}, '')`;
  });
  const pick = (items: readonly string[]): string => `(${texts(items)})[_first]`;
  const field = pick(checked.map((planned) => quoteText(planned.field.name)));
  const value = pick(checked.map(({ raw }) => `ifNull(toString(${raw}), '')`));
  const expectation = pick(checked.map(({ cast }) => quoteText(cast?.expectation ?? "")));
  const cells = place.plan.chosen.flatMap((index) => [
    quoteText(place.plan.columns[index]?.name ?? ""),
    `toString(c${index})`,
  ]);
  const faulty = "isNotNull(_fault_code)";
  const using = withShared(casts);
  const unlessFaulty = (column: string, otherwise: string): string =>
    `if(${faulty}, ifNull(${column}, ''), ${otherwise})`;
  return {
    from:
      `SELECT *, arrayFirstIndex(code -> code != '', _codes) AS _first, _codes[_first] AS _code ` +
      `FROM (${using}SELECT *, ${texts(codes)} AS _codes FROM (SELECT * FROM (${from}) WHERE ${bad}))`,
    columns: {
      _workflow: quoteText(place.workflowId),
      _file: quoteText(place.object.key),
      _entry: quoteText(place.entry),
      _row: "_row",
      _offset: "_offset",
      stage: `if(${faulty}, 'parse', 'cast')`,
      code: unlessFaulty("_fault_code", "_code"),
      field: unlessFaulty("''", field),
      value: `substring(${unlessFaulty("_fault_raw", value)}, 1, ${MAX_REJECT_VALUE_BYTES})`,
      message: unlessFaulty(
        "_fault_message",
        `multiIf(_code = 'primary_key_null', 'the primary key field is empty', _code = 'out_of_range', concat('does not fit, expected ', ${expectation}), concat('expected ', ${expectation}))`,
      ),
      record: unlessFaulty(
        "_fault_raw",
        cells.length === 0 ? "'{}'" : `toJSONString(map(${cells.join(", ")}))`,
      ),
      time: "now64(3, 'UTC')",
    },
  };
}

/**
 * The two statements of an entry (of one slice of it, if given). They read the same body and part its
 * rows: what one takes the other leaves.
 */
export function insertStatements(place: EntryPlace, slice?: SlicePlace): InsertStatements {
  const { feed, workflowId } = place;
  const casts = planCasts(place);
  const at = { source: feed.source, name: feed.name };
  const faults = slice === undefined ? ["isNotNull(_fault_code)"] : [];
  const conditions = [...faults, ...casts.flatMap((planned) => refused(planned) ?? [])];
  const bad = conditions.length === 0 ? "0" : conditions.join(" OR ");
  const format = slice === undefined ? "ArrowStream" : "Parquet";

  const rowValues = [
    ...casts.map(({ value, isKey }) => (isKey ? `assumeNotNull(${value})` : value)),
    updated(place, casts),
    quoteText(place.object.key),
    quoteText(place.entry),
    "_row",
    quoteText(workflowId),
  ];
  const rowColumns = [
    ...includedFields(feed).map(({ name }) => name),
    ...LINEAGE_COLUMNS.map(({ name }) => name),
  ];
  const rejects = selectRejects(place, casts, castRows(place, casts, slice), bad);
  const rejectNames = REJECT_COLUMNS.map(({ name }) => name);
  const columns = (names: readonly string[]): string => names.map(quoteIdentifier).join(", ");
  return {
    rows:
      `INSERT INTO ${stagingTable(at, workflowId).sql} (${columns(rowColumns)}) ` +
      `SELECT ${rowValues.join(", ")} FROM (${castRows(place, casts, slice)}) WHERE NOT (${bad}) FORMAT ${format}`,
    rejects:
      `INSERT INTO ${stagingRejectsTable(at, workflowId).sql} (${columns(rejectNames)}) ` +
      `SELECT ${rejectNames.map((name) => rejects.columns[name] ?? "''").join(", ")} FROM (${rejects.from}) FORMAT ${format}`,
  };
}
