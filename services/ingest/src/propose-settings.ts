import { type ProposedSetting, StageError } from "@sluice/errors";
import { inferRowElement } from "@sluice/infer";
import { matchColumns } from "@sluice/load";
import { assertFormat, FORMAT_SNIFF_BYTES } from "@sluice/parse";
import type { DelimitedSettings, Feed, SourceColumn } from "@sluice/schema";

/** How much of a file's head is looked at for what would fit it; its format shows in less. */
export const PROPOSAL_BYTES = 8192;

/** Bytes are text of one column by a delimiter that is not theirs; these are tried instead. */
const DELIMITERS = [",", ";", "\t", "|"];

/** As `assertFormat`; with XML it proposes the element of a record too. */
export function assertFormatOf(head: Uint8Array, format: Parameters<typeof assertFormat>[1]): void {
  try {
    assertFormat(head.subarray(0, FORMAT_SNIFF_BYTES), format);
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    const isXml = error.proposed.some(({ value }) => value === "xml");
    if (!isXml) throw error;
    const { value, confidence } = inferRowElement(Buffer.from(head).toString("utf8"));
    if (confidence < 0.5) throw error;
    throw withProposed(error, [...error.proposed, { setting: "xml.rowElement", value }], "");
  }
}

/**
 * A header of one column that is none of the feed's, and by another delimiter would be all that the feed requires: the same
 * error, which proposes that delimiter. Any other error as it is.
 */
export function withDelimiter(
  error: unknown,
  { delimiter, headerRows }: DelimitedSettings,
  feed: Feed,
  columns: readonly SourceColumn[],
): unknown {
  const [header, ...others] = columns;
  const isOther = !(error instanceof StageError) || error.code !== "schema_mismatch";
  if (isOther || header === undefined || others.length > 0 || headerRows !== 1) return error;
  const better = DELIMITERS.find((other) => {
    const names = header.name.split(other).map((name) => name.replace(/^(["'])(.*)\1$/, "$2"));
    if (other === delimiter || names.length === 1) return false;
    const named = names.map((name) => ({ name, type: header.type }));
    return !matchColumns(feed, named).differences.some(({ isError }) => isError);
  });
  if (better === undefined) return error;
  const words = `; by the delimiter ${JSON.stringify(better)} the header fits the feed: set the delimiter to it`;
  return withProposed(error, [{ setting: "delimited.delimiter", value: better }], words);
}

function withProposed(
  error: StageError,
  proposed: readonly ProposedSetting[],
  words: string,
): StageError {
  const { stage, code, rawMessage, coordinate, cause, seen, expected } = error;
  return new StageError(stage, code, `${rawMessage}${words}`, {
    ...coordinate,
    cause,
    proposed,
    ...(seen === undefined ? {} : { seen }),
    ...(expected === undefined ? {} : { expected }),
  });
}
