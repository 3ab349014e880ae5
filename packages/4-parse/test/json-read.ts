import type { Findings, JsonSettings, WantedField } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import type { JsonLimits } from "../src/json/limits.ts";
import { parseJson } from "../src/json/parse-json.ts";
import { type Table, toTable } from "./table.ts";

export interface JsonTable extends Table {
  readonly findings: Findings;
}

/** `a` wants the member a; `a.b=x.y` wants, as a.b, what stands at the path x.y. */
export function wanted(fields: string): WantedField[] {
  return fields
    .split(" ")
    .filter((field) => field !== "")
    .map((field) => {
      const [incomingName = "", path] = field.split("=");
      return path === undefined ? { incomingName } : { incomingName, path };
    });
}

export interface Reading {
  readonly shape?: JsonSettings["shape"];
  readonly recordPath?: string;
  readonly explodePath?: string;
  readonly limits?: Partial<JsonLimits>;
  /** Bytes of a chunk. */
  readonly size?: number;
}

/** Reads a whole text or file; its fields as `wanted` reads them. */
export async function readJson(
  text: string | Uint8Array,
  fields: string | readonly WantedField[],
  reading: Reading = {},
): Promise<JsonTable> {
  const { shape = "lines", recordPath = "", explodePath = "", limits = {}, size = 3 } = reading;
  const settings: JsonSettings = { kind: "json", shape, recordPath, explodePath };
  const list = typeof fields === "string" ? wanted(fields) : fields;
  const parsed = await parseJson(settings, list, limits)(chunked(Buffer.from(text), size));
  const table = await toTable(parsed);
  const findings = parsed.findings?.();
  if (findings === undefined) throw new Error("no findings");
  return { ...table, findings };
}
