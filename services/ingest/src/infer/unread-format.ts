import { StageError } from "@sluice/errors";
import { headText, inferEncoding, jsonText } from "@sluice/infer";
import { detectFormat } from "@sluice/parse";
import type { SeenLayer } from "../preview/layer-watch.ts";
import type { PlainHead } from "./infer-format.ts";

const READ = "CSV, JSON, XML, Avro or Parquet";

/** Why bytes have no format: they are of one that is not read, or of none that is known. */
export function unknownFormat({ bytes, isWhole }: PlainHead): StageError {
  const known = detectFormat(bytes.subarray(0, 512));
  if (known !== undefined && known.kind === undefined) return unread(known.words);
  const found = jsonText(headText(bytes, inferEncoding(bytes, isWhole).value), isWhole);
  if (found?.kind === "wrapped") {
    const message = `The bytes are ${found.words}: that is not read. ${found.remedy}`;
    return new StageError("parse", "malformed", message, { byteOffset: 0, seen: found.words });
  }
  const message =
    bytes.byteLength === 0
      ? "The file is empty: its format cannot be told."
      : "The bytes are of no format that can be told. Name the format, if you know it.";
  return new StageError("parse", "malformed", message, { byteOffset: 0, seen: "binary data" });
}

/** Documents that are zips, by files that all of their kind have. */
const DOCUMENTS: readonly { readonly words: string; readonly entry: RegExp }[] = [
  { words: "an Excel workbook", entry: /^xl\/workbook\.(xml|bin)$/ },
  { words: "a Word document", entry: /^word\/document\.xml$/ },
  { words: "a PowerPoint presentation", entry: /^ppt\/presentation\.xml$/ },
];

/** Why an archive is no archive of data: it is a document of an office program. */
export function documentIn(layers: readonly SeenLayer[]): StageError | undefined {
  const entries = layers.find(({ kind }) => kind === "zip")?.entries ?? [];
  if (entries.includes("mimetype") && entries.includes("META-INF/manifest.xml")) {
    return unread("an OpenDocument file");
  }
  if (!entries.includes("[Content_Types].xml")) return undefined;
  const found = DOCUMENTS.find(({ entry }) => entries.some((name) => entry.test(name)));
  return unread(found?.words ?? "an Office document");
}

function unread(words: string): StageError {
  const message = `The bytes are ${words}: that cannot be loaded. Have the data exported as ${READ}.`;
  return new StageError("parse", "malformed", message, { byteOffset: 0, seen: words });
}
