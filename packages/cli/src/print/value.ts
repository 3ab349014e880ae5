import {
  type DescField,
  type DescMessage,
  isFieldSet,
  isMessage,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { StageFailureSchema, StageSchema } from "@sluice/api/control/v1/failure_pb";
import { shortEnum } from "../values.ts";

/** One field of a message, in a cell of a table. */
export function toCell(desc: DescMessage, message: Message, field: DescField): string {
  const value = reflect(desc, message).get(field);
  switch (field.fieldKind) {
    case "enum":
      return shortEnum(field.enum, Number(value));
    case "scalar":
      return value instanceof Uint8Array ? `${value.length} bytes` : short(String(value));
    case "message": {
      if (!isFieldSet(message, field)) return "";
      const { message: inner } = reflect(desc, message).get(field);
      if (isMessage(inner, StageFailureSchema)) {
        return `${shortEnum(StageSchema, inner.stage)}.${inner.code}`;
      }
      return short(toJson(field.message, inner));
    }
    default: {
      const all: unknown = toJson(desc, message);
      const inner = typeof all === "object" && all !== null ? Reflect.get(all, field.jsonName) : [];
      const isPlain = Array.isArray(inner) && inner.every((item) => typeof item !== "object");
      return inner === undefined ? "" : isPlain ? inner.join(", ") : short(inner);
    }
  }
}

/** Cells are for looking; `get` and --json have all of it. */
const MAX_CELL = 80;
function short(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length <= MAX_CELL ? text : `${text.slice(0, MAX_CELL)}\u2026`;
}
