import type { FieldPath } from "@sluice/schema";
import { quoteText } from "../quoting.ts";
import { dayOrDays, momentOrTicks } from "./moment-text.ts";
import {
  type Member,
  mapScalars,
  type NativeType,
  parseType,
  type ScalarRule,
} from "./native-type.ts";
import { bareType, isDays, isNanoseconds } from "./source-type.ts";

/** A part of a nested column as an expression that fails no row, whatever the data. */
export interface NativePath {
  /** The part of the column `raw`, whose type is `carriedType` of the column's; null where there is none. */
  sql(raw: string): string;
  /**
   * The Nullable type of the part, to be cast as a column of that type, which is carried alike: a Date32
   * as days since 1970 in an Int32, for one. JSON text is `Nullable(String)`.
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
      const { value: found } = part;
      const value = `toNullable(${isJson ? jsonText(found, end) : scalarOf(found, end.type)})`;
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
const keyText = (key: string, type: string): string => {
  const text = shownInJson(type)?.sql?.(key);
  return text === undefined ? `toString(${key})` : `assumeNotNull(${text})`;
};

/**
 * A nested value as JSON text. Dates and times are texts as ClickHouse writes them in the years 1 to 9999,
 * and beyond these as days or ticks since 1970. A null struct is an object of nulls and a null
 * list or map an empty one: the column's type tells no more.
 */
const jsonText = (value: string, type: NativeType): string =>
  `toJSONString(${mapScalars(value, type, shownInJson)})`;

/** Days and ticks as texts of dates and times. */
const shownInJson: ScalarRule = (type) => {
  if (isDays(type)) return { type: "Nullable(String)", sql: dayOrDays };
  if (!isTicks(type)) return undefined;
  return { type: "Nullable(String)", sql: (ticks) => momentOrTicks(ticks, type) };
};

const isTicks = (type: string): boolean =>
  isNanoseconds(type) || bareType(type).startsWith("DateTime64(");

/** A scalar inside of a nested value as a column of its type has it. */
const scalarOf = (value: string, type: string): string =>
  isTicks(type) && !isNanoseconds(type)
    ? `reinterpret(${value}, ${quoteText(bareType(type))})`
    : value;

const nullable = (type: string): string =>
  type.startsWith("Nullable(") ? type : `Nullable(${type})`;
