import type { Findings, WantedField, XmlSettings } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import type { XmlLimits } from "../src/xml/limits.ts";
import { parseXml } from "../src/xml/parse-xml.ts";
import { type Table, toTable } from "./table.ts";

export const ROW: XmlSettings = { kind: "xml", rowElement: "row", explodePath: "" };

/** A text is a member's own name; a pair is a column's name and its path. */
export type Wanted = string | readonly [incomingName: string, path: string];

export function wanted(fields: readonly Wanted[]): WantedField[] {
  return fields.map((field) =>
    typeof field === "string"
      ? { incomingName: field }
      : { incomingName: field[0], path: field[1] },
  );
}

export type XmlTable = Table & { readonly findings: Findings };

/** Parses a whole document out of chunks of `size` bytes. */
export async function readXml(
  document: string | Uint8Array,
  fields: readonly Wanted[],
  settings: Partial<XmlSettings> = {},
  limits: Partial<XmlLimits> = {},
  size = 7,
): Promise<XmlTable> {
  const parse = parseXml({ ...ROW, ...settings }, wanted(fields), limits);
  const parsed = await parse(chunked(Buffer.from(document), size));
  const table = await toTable(parsed);
  return { ...table, findings: parsed.findings?.() ?? { absent: [], extra: [], warnings: [] } };
}
