import { quoteText } from "../quoting.ts";
import { carriedType } from "./carried-value.ts";
import { bareType, isDays, isNanoseconds, sourceKind, timeScale } from "./source-type.ts";

/**
 * Text that stands for a value of the type (see `SourceColumn.type`) as that value, null for other text:
 * of the type that `carriedType` gives.
 */
export function fromTypedText(text: string, type: string): string {
  const bare = bareType(type);
  switch (sourceKind(type)) {
    case "text":
      return text;
    case "boolean":
      return `multiIf(${text} = 'true', true, ${text} = 'false', false, NULL)`;
    case "integer":
      return `to${bare}OrNull(${text})`;
    case "float":
      return `to${bare === "Float64" ? "Float64" : "Float32"}OrNull(${text})`;
    case "decimal": {
      const { bits, scale } = decimalOf(bare);
      return `toDecimal${bits}OrNull(${text}, ${scale})`;
    }
    case "date":
      return `toInt32OrNull(${text})`;
    case "datetime":
      if (isNanoseconds(type)) return `toInt128OrNull(${text})`;
      return `reinterpret(toInt64OrNull(${text}), 'DateTime64(${timeScale(type)}, \\'UTC\\')')`;
    case "nested":
      // Only what `toTypedText` wrote is read here, and of a null text the type's empty value is taken.
      // A map is read inside of a tuple alone.
      return `arrayMap(x -> tupleElement(CAST(concat('(', x, ')'), ${quoteText(`Tuple(${carriedType(type)})`)}), 1), if(isNull(${text}), [], [assumeNotNull(${text})]))[1]`;
    case "other":
      return bare === "UUID" ? `toUUIDOrNull(${text})` : text;
  }
}

/** A value of a native column as the text that `fromTypedText` makes the same value of. */
export function toTypedText(value: string, type: string): string {
  const fixed = /^FixedString\((\d+)\)$/.exec(bareType(type))?.[1];
  // toString would cut zero bytes off its end.
  if (fixed !== undefined) return `substring(${value}, 1, ${fixed})`;
  switch (sourceKind(type)) {
    case "date":
      return `toString(${isDays(type) ? value : `toInt32(${value})`})`;
    case "datetime":
      if (isNanoseconds(type)) return `toString(${value})`;
      return bareType(type).startsWith("DateTime64")
        ? `toString(reinterpret(${value}, 'Int64'))`
        : `toString(toUnixTimestamp(${value}))`;
    default:
      return `toString(${value})`;
  }
}

/** The type that `fromTypedText` gives for a column's: what the native rules are asked with. */
export function typedTextType(type: string): string {
  switch (sourceKind(type)) {
    case "date":
      return "Date32";
    case "datetime":
      return isNanoseconds(type) ? type : `DateTime64(${timeScale(type)}, 'UTC')`;
    default:
      return type;
  }
}

/** The width and the scale of a Decimal type. */
export function decimalOf(bare: string): { bits: number; scale: number } {
  const general = /^Decimal\((\d+), ?(\d+)\)$/.exec(bare);
  if (general !== null) {
    const precision = Number(general[1]);
    const bits = precision <= 9 ? 32 : precision <= 18 ? 64 : precision <= 38 ? 128 : 256;
    return { bits, scale: Number(general[2]) };
  }
  const [, bits, scale] = /^Decimal(32|64|128|256)\((\d+)\)$/.exec(bare) ?? [];
  return { bits: Number(bits ?? 256), scale: Number(scale ?? 0) };
}
