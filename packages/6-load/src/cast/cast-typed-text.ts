import type { Field } from "@sluice/schema";
import { castNative } from "./cast-native.ts";
import { castText } from "./cast-text.ts";
import type { FieldCast } from "./field-cast.ts";
import { sourceKind } from "./source-type.ts";
import { fromTypedText, typedTextType } from "./typed-text.ts";

/**
 * Text of a column of another type than text: it becomes that type's value again and then follows the
 * native rules. Text that is no such value is refused.
 */
export function castTypedText(raw: string, type: string, name: string, field: Field): FieldCast {
  if (sourceKind(type) === "text") return castText(raw, name, field);
  const value = `${name}_n`;
  const restored = fromTypedText(raw, type);
  const cast = castNative(value, typedTextType(type), name, field);
  const present =
    sourceKind(type) === "float" && field.nonFinite === "null" && field.type.kind === "float"
      ? `(isNotNull(${raw}) AND ifNull(isFinite(${restored}), 1))`
      : `isNotNull(${raw})`;
  return {
    ...cast,
    shared: [{ name: value, sql: restored }, ...cast.shared],
    present,
    outOfRange: `if(isNull(${value}), match(${raw}, '^-?[0-9]+$'), ${cast.outOfRange})`,
  };
}
