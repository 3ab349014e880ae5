import { parseFieldPath } from "@sluice/schema";
import type { FieldFault } from "../server/field-violations.ts";

/** The fault of a text that should be a field path, if it has one; the empty text is none and fine. */
export function fieldPathFaults(text: string, path: string): FieldFault[] {
  if (text === "") return [];
  try {
    parseFieldPath(text);
    return [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const message = `${error.message}; a path is written like items[0].sku or "a.b".c`;
    return [{ path, rule: "field_path", message }];
  }
}
