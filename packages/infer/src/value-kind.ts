import { dateFormatsOf } from "./date-formats.ts";

/** What a single value looks like. */
export type ValueKind = "integer" | "decimal" | "float" | "boolean" | "date" | "email" | "text";

const INTEGER = /^[+-]?(?:0|[1-9]\d{0,18})$/;
const DECIMAL = /^[+-]?(?:0|[1-9]\d*)?\.\d+$/;
const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+$/;
const BOOLEAN = /^(?:true|false|yes|no)$/i;
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

/** Numbers with leading zeros are texts: of a postal code or a key they would be lost. */
export function kindOf(value: string): ValueKind {
  const text = value.trim();
  if (INTEGER.test(text)) return "integer";
  if (DECIMAL.test(text)) return "decimal";
  if (FLOAT.test(text)) return "float";
  if (BOOLEAN.test(text)) return "boolean";
  if (EMAIL.test(text)) return "email";
  return dateFormatsOf(text).length > 0 ? "date" : "text";
}
