import { FILE } from "./footer.ts";
import { readList, readStruct, readText, STRUCT, type ThriftStruct } from "./thrift.ts";

/**
 * The columns that GeoParquet's metadata (key `geo`) declares to be shapes: ClickHouse decodes them
 * instead of giving their bytes. Metadata that is not GeoParquet's declares none.
 */
export function readGeoColumns(file: ThriftStruct): ReadonlySet<string> {
  const pairs = file.get(FILE.keyValues);
  if (pairs === undefined) return new Set();
  for (const pair of readList(pairs, STRUCT).map(readStruct)) {
    const key = pair.get(1);
    const value = pair.get(2);
    if (key === undefined || value === undefined || readText(key) !== "geo") continue;
    return new Set(Object.keys(columnsOf(readText(value))));
  }
  return new Set();
}

function columnsOf(json: string): object {
  try {
    const geo: unknown = JSON.parse(json);
    if (typeof geo !== "object" || geo === null || !("columns" in geo)) return {};
    return typeof geo.columns === "object" && geo.columns !== null ? geo.columns : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
