import type { FieldPath } from "@sluice/schema";
import { quoteText } from "../quoting.ts";
import { isDate, type Member, type NativeType, parseType, printWithTexts } from "./native-type.ts";

/** A part of a nested column as an expression that fails no row, whatever the data. */
export interface NativePath {
  /** The part of the column `raw`, whose type is `nestedReadType` of the column's; null where there is none. */
  sql(raw: string): string;
  /**
   * The Nullable type of the part, to be cast as a column of that type: a Date32 comes as days since 1970
   * in an Int32, as everywhere. JSON text is `Nullable(String)`.
   */
  readonly type: string;
  /** Whether the part is itself nested and comes as JSON text. */
  readonly isJson: boolean;
}

/**
 * What JSON text needs of an insert's settings, so that it does not depend on a user's profile: whole
 * numbers and decimals are JSON numbers with all of their digits, NaN and the infinities are the
 * texts "nan", "inf" and "-inf", tuples are objects.
 */
export const JSON_TEXT_SETTINGS: Readonly<Record<string, string>> = {
  output_format_json_quote_64bit_integers: "0",
  output_format_json_quote_decimals: "0",
  output_format_json_quote_64bit_floats: "0",
  output_format_json_quote_denormals: "1",
  output_format_json_named_tuples_as_objects: "1",
  output_format_json_map_as_array_of_tuples: "0",
  output_format_json_escape_forward_slashes: "0",
};

/**
 * The type that a column is asked for as: days for dates, of which ClickHouse fails the whole insert
 * where they are beyond Date32's years.
 */
export function nestedReadType(type: string): string {
  return type.replace(/(`(?:[^`\\]|\\.)*`)|\bDate32\b/g, (_, name?: string) => name ?? "Int32");
}

/**
 * Finds the part of a column of the type that the path leads to. Members of tuples match without regard
 * to case, an exact name first; array indexes count from 0; of a map's keys, as text, the last of the
 * same name counts (parquet-format, LogicalTypes.md), an exact one first. A part that a row has not is
 * null. An empty path is the column itself. Undefined when no value of the type has such a part.
 */
export function nativePath(type: string, path: FieldPath): NativePath | undefined {
  let at: NativeType | undefined = parseType(type);
  const steps: Step["take"][] = [];
  for (const step of path) {
    if (at === undefined) return undefined;
    const found = stepInto(at, step);
    if (found === undefined) return undefined;
    steps.push(found.take);
    at = found.type;
  }
  if (at === undefined) return undefined;
  const end = at;
  const isJson = end.kind !== "scalar";
  return {
    sql(raw) {
      const whole: Part = { value: raw, exists: [] };
      const part = steps.reduce((outer, take) => take(outer), whole);
      const value = `toNullable(${isJson ? jsonText(part.value, end) : part.value})`;
      return part.exists.length === 0 ? value : `if(${part.exists.join(" AND ")}, ${value}, NULL)`;
    },
    type: isJson ? "Nullable(String)" : nullable(end.type),
    isJson,
  };
}

/** An expression, and the conditions under which it is more than a type's default. */
interface Part {
  readonly value: string;
  readonly exists: readonly string[];
}

interface Step {
  readonly type: NativeType;
  take(outer: Part): Part;
}

function stepInto(type: NativeType, step: string | number): Step | undefined {
  switch (type.kind) {
    case "scalar":
      return undefined;
    case "tuple": {
      const index = typeof step === "number" ? -1 : memberIndex(type.members, step);
      const member = type.members[index];
      if (member === undefined) return undefined;
      return {
        type: member.type,
        take: ({ value, exists }) => ({ value: `tupleElement(${value}, ${index + 1})`, exists }),
      };
    }
    case "array":
      if (typeof step !== "number" || !Number.isSafeInteger(step)) return undefined;
      return {
        type: type.element,
        take: ({ value, exists }) => ({
          value: `arrayElement(${value}, ${step + 1})`,
          exists: [...exists, `length(${value}) > ${step}`],
        }),
      };
    case "map":
      if (typeof step === "number") return undefined;
      return {
        type: type.value,
        take: ({ value, exists }) => {
          const index = keyIndex(`mapKeys(${value})`, type.key, step);
          return {
            // Index 0 would be an error, of which the condition cannot be relied on to spare it.
            value: `arrayElement(mapValues(${value}), greatest(${index}, 1))`,
            exists: [...exists, `${index} > 0`],
          };
        },
      };
  }
}

function memberIndex(members: readonly Member[], name: string): number {
  const exact = members.findIndex((member) => member.name === name);
  if (exact !== -1) return exact;
  return members.findIndex((member) => member.name.toLowerCase() === name.toLowerCase());
}

function keyIndex(keys: string, type: string, name: string): string {
  const text = quoteText(name);
  const texts = `arrayMap(_k -> ${keyText("_k", type)}, ${keys})`;
  const exact = `arrayLastIndex(_k -> _k = ${text}, ${texts})`;
  const alike = `arrayLastIndex(_k -> lowerUTF8(_k) = lowerUTF8(${text}), ${texts})`;
  return `if(${exact} > 0, ${exact}, ${alike})`;
}

/** A key of a map is never null. */
const keyText = (key: string, type: string): string =>
  isDate(type) ? `assumeNotNull(${dateText(key)})` : `toString(${key})`;

/**
 * A nested value as JSON text. Dates and times are texts as ClickHouse writes them, dates of any year
 * from 1 to 9999 and beyond these as days since 1970. A null struct is an object of nulls and a null
 * list or map an empty one: the column's type tells no more.
 */
function jsonText(value: string, type: NativeType): string {
  return `toJSONString(${withDates(value, type, 0)})`;
}

/** The value with each date, a number of days, as its text. */
function withDates(value: string, type: NativeType, depth: number): string {
  if (!hasDates(type)) return value;
  const name = `_e${depth}`;
  switch (type.kind) {
    case "scalar":
      return dateText(value);
    case "array":
      return `arrayMap(${name} -> ${withDates(name, type.element, depth + 1)}, ${value})`;
    case "map": {
      const keys = `mapKeys(${value})`;
      const texts = `arrayMap(${name} -> ${keyText(name, type.key)}, ${keys})`;
      const values = `arrayMap(${name} -> ${withDates(name, type.value, depth + 1)}, mapValues(${value}))`;
      return `mapFromArrays(${isDate(type.key) ? texts : keys}, ${values})`;
    }
    case "tuple": {
      const members = type.members.map(({ type: member }, i) =>
        withDates(`tupleElement(${value}, ${i + 1})`, member, depth),
      );
      return `CAST(tuple(${members.join(", ")}), ${quoteText(printWithTexts(type))})`;
    }
  }
}

const FIRST_DAY = -719_162;
const LAST_DAY = 2_932_896;

function dateText(days: string): string {
  const moment = `fromUnixTimestamp64Second(toInt64(ifNull(${days}, 0)) * 86400, 'UTC')`;
  const isWritable = `${days} BETWEEN ${FIRST_DAY} AND ${LAST_DAY}`;
  const text = `if(${isWritable}, substring(toString(${moment}), 1, 10), toString(${days}))`;
  return `if(isNull(${days}), NULL, ${text})`;
}

function hasDates(type: NativeType): boolean {
  switch (type.kind) {
    case "scalar":
      return isDate(type.type);
    case "array":
      return hasDates(type.element);
    case "map":
      return isDate(type.key) || hasDates(type.value);
    case "tuple":
      return type.members.some((member) => hasDates(member.type));
  }
}

const nullable = (type: string): string =>
  type.startsWith("Nullable(") ? type : `Nullable(${type})`;
