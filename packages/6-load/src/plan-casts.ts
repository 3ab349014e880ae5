import type { Feed } from "@sluice/schema";
import { castAlike, isShareable } from "./cast/alike-times.ts";
import { castNative } from "./cast/cast-native.ts";
import { castText } from "./cast/cast-text.ts";
import { castTypedText } from "./cast/cast-typed-text.ts";
import type { FieldCast } from "./cast/field-cast.ts";
import { sourceKind } from "./cast/source-type.ts";
import { fromTypedText } from "./cast/typed-text.ts";
import { fieldColumnType } from "./columns.ts";
import { quoteText } from "./quoting.ts";
import { type ColumnPlan, LINEAGE_TYPES, type PlannedField } from "./resolve-columns.ts";

/** How a column's values travel: as text, whatever its type, or as the type itself. */
export type Carriage = "text" | "native";

/** A field with its cast: `value`, `v<index>`, is its value beside the raw columns `c<index>`. */
export interface PlannedCast extends PlannedField {
  /** SQL of the raw value, over the raw columns alone. */
  readonly raw: string;
  readonly value: string;
  readonly isKey: boolean;
  readonly cast: FieldCast | undefined;
}

export function planCasts(feed: Feed, plan: ColumnPlan, carriage: Carriage): PlannedCast[] {
  const casts = planEach(feed, plan, carriage, "v");
  if (carriage === "native") return casts;
  const times = casts.flatMap(({ field, column, part, raw }, index) =>
    column !== undefined &&
    part === undefined &&
    sourceKind(column.type) === "text" &&
    isShareable(field)
      ? [{ index, field, raw }]
      : [],
  );
  const alike = castAlike(times);
  return casts.map((planned, index) => ({ ...planned, cast: alike.get(index) ?? planned.cast }));
}

/**
 * Casts that take what values look like in most files, with `u<index>` as values: what they give is what the others
 * give, or null. Undefined where no field has a shorter form.
 *
 * The server works through a whole statement for every batch, and shares no part of an expression between rows: a batch
 * without rare forms of numbers and times is spared both.
 */
export function planUsualCasts(
  feed: Feed,
  plan: ColumnPlan,
  carriage: Carriage,
): PlannedCast[] | undefined {
  const casts = planEach(feed, plan, carriage, "u");
  if (!casts.some(({ cast }) => cast?.usual !== undefined)) return undefined;
  return casts.map((planned) => {
    const { cast } = planned;
    return cast?.usual === undefined
      ? planned
      : { ...planned, cast: { ...cast, value: cast.usual } };
  });
}

function planEach(
  feed: Feed,
  plan: ColumnPlan,
  carriage: Carriage,
  prefix: "v" | "u",
): PlannedCast[] {
  return plan.fields.map((planned, at) => {
    const { field, sourceIndex, column, part } = planned;
    const raw = `c${sourceIndex}`;
    const value = `${prefix}${at}`;
    const isKey = feed.primaryKey.includes(field.name);
    const common = { ...planned, value, isKey };
    if (field.lineage !== undefined) {
      const origin = `_${field.lineage}`;
      const cast = castNative(origin, LINEAGE_TYPES[field.lineage], value, field);
      return { ...common, raw: origin, cast };
    }
    if (column === undefined) return { ...common, raw, cast: undefined };
    if (part !== undefined) {
      const whole = carriage === "native" ? raw : fromTypedText(raw, column.type);
      const inside = `(${part.sql(whole)})`;
      return { ...common, raw: inside, cast: castNative(inside, part.type, value, field) };
    }
    if (carriage === "native") {
      return { ...common, raw, cast: castNative(raw, column.type, value, field) };
    }
    const cast =
      sourceKind(column.type) === "text"
        ? castText(raw, value, field)
        : castTypedText(raw, column.type, value, field);
    return { ...common, raw, cast };
  });
}

/** 1 for rows that the field refuses; undefined where it takes every value. */
export function refusal({ cast, value, isKey, field }: PlannedCast): string | undefined {
  if (isKey) return `isNull(${value})`;
  if (cast === undefined) return undefined;
  const takesAll = field.type.kind === "string" && cast.outOfRange === "0";
  return takesAll ? undefined : `(isNull(${value}) AND ${cast.present})`;
}

/** Columns beside those of `from`: in a SELECT of their own, since the server works an alias out at each use. */
function withColumns(
  columns: readonly { readonly name: string; readonly sql: string }[],
  from: string,
): string {
  if (columns.length === 0) return from;
  return `SELECT *, ${columns.map(({ name, sql }) => `${sql} AS ${name}`).join(", ")} FROM (${from})`;
}

/** The rows of `from` with `v<index>` beside what it has. */
export function castRows(casts: readonly PlannedCast[], from: string): string {
  const values = casts.map((planned) => ({ name: planned.value, sql: fieldSql(planned) }));
  return withColumns(values, sharedRows(casts, from));
}

/**
 * The rows of `from` with what the casts' values are made of, where they share it; only with what `user` names, if that is
 * given.
 */
export function sharedRows(casts: readonly PlannedCast[], from: string, user?: string): string {
  const shared = casts.flatMap(({ cast }) => cast?.shared ?? []);
  if (user === undefined) return withColumns(shared, from);
  const named = new Set(user.match(/\w+/g));
  // What is made of something that is shared itself names it, and is made after it.
  for (const { name, sql } of shared.toReversed()) {
    if (named.has(name)) for (const word of sql.match(/\w+/g) ?? []) named.add(word);
  }
  return withColumns(
    shared.filter(({ name }) => named.has(name)),
    from,
  );
}

/** SQL of a field's value, over `sharedRows`. */
export function fieldSql({ cast, field }: PlannedCast): string {
  return cast?.value ?? `CAST(NULL, ${quoteText(`Nullable(${fieldColumnType(field.type)})`)})`;
}

/** The rows of `from`, which has those of `castRows`, with their codes as `_codes`: see `refusalsOf`. */
export function codedRows(casts: readonly PlannedCast[], codes: string, from: string): string {
  const reasons = casts.flatMap(({ cast }) => cast?.sharedReasons ?? []);
  return withColumns([{ name: "_codes", sql: codes }], withColumns(reasons, from));
}

/**
 * `_updated`: the last-updated value as an unsigned number of the same order (null counts as lowest, 0
 * when generated), then `_place`: 27 bits of the object's ordinal and 37 bits of the row.
 */
export function updatedValue(feed: Feed, casts: readonly PlannedCast[]): string {
  const place = "toUInt128(_place)";
  const found = casts.find(({ field }) => field.name === feed.lastUpdatedField);
  if (found === undefined) return place;
  const signed =
    found.field.type.kind === "datetime" ? `toUnixTimestamp64Micro(${found.value})` : found.value;
  const ordered = `ifNull(bitXor(reinterpretAsUInt64(assumeNotNull(${signed})), 9223372036854775808), 0)`;
  return `bitOr(bitShiftLeft(toUInt128(if(isNull(${found.value}), 0, ${ordered})), 64), ${place})`;
}

/** Why a row is refused, in SQL over the rows of `castRows`: of several reasons the first field's. */
export interface Refusals {
  /** One code for each checked field, empty where it takes the row's value. */
  readonly codes: string;
  /** Over a SELECT that has `codes` as `_codes`. */
  readonly columns: {
    readonly code: string;
    readonly field: string;
    readonly value: string;
    readonly message: string;
  };
}

/** A raw value in the quarantine is cut after this many bytes. */
const MAX_REJECT_VALUE_BYTES = 4096;

export function refusalsOf(casts: readonly PlannedCast[]): Refusals {
  const checked = casts.flatMap((planned) => {
    const condition = refusal(planned);
    return condition === undefined ? [] : [{ ...planned, condition }];
  });
  const texts = (items: readonly string[]): string =>
    items.length === 0 ? "CAST([], 'Array(String)')" : `[${items.join(", ")}]`;
  const codes = checked.map(({ cast, isKey, condition }) => {
    const code = `if(${cast?.outOfRange ?? "0"}, 'out_of_range', 'bad_value')`;
    const present = cast?.present ?? "0";
    return `if(${condition}, ${isKey ? `if(${present}, ${code}, 'primary_key_null')` : code}, '')`;
  });
  const first = "arrayFirstIndex(code -> code != '', _codes)";
  const pick = (items: readonly string[]): string => `(${texts(items)})[${first}]`;
  const code = `_codes[${first}]`;
  const expectation = pick(checked.map(({ cast }) => quoteText(cast?.expectation ?? "")));
  return {
    codes: texts(codes),
    columns: {
      code,
      field: pick(checked.map((planned) => quoteText(planned.field.name))),
      value: `substring(${pick(checked.map(({ raw }) => `ifNull(toString(${raw}), '')`))}, 1, ${MAX_REJECT_VALUE_BYTES})`,
      message: `multiIf(${code} = 'primary_key_null', 'the primary key field is empty', ${code} = 'out_of_range', concat('does not fit, expected ', ${expectation}), concat('expected ', ${expectation}))`,
    },
  };
}
