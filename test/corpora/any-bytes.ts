import { DelimitedSettings_Encoding } from "@sluice/api/control/v1/file_settings_pb";
import type { FileSettings } from "../e2e/story.ts";
import { type FieldInit, firstDifference, type LoadedRow, textField } from "./corpus-case.ts";

/**
 * Any bytes at all as rows of a table: each line is a row of one column, and each byte is a character of Latin-1.
 * Nothing but the kinds of line ends is lost, so that a container's content can be compared byte by byte.
 */
export const ANY_BYTES: FileSettings = {
  format: {
    case: "delimited",
    value: {
      // No run of a sawtooth or a table of all bytes, which some files hold.
      delimiter: "\u0006\u0001\u0008\u0002\u0007\u0003\u0005\u0004",
      quote: "",
      headerRows: 0,
      encoding: DelimitedSettings_Encoding.LATIN_1,
    },
  },
};

export const ANY_BYTES_FIELDS: readonly FieldInit[] = [textField("column_1", 0)];

function linesOf(bytes: Uint8Array): string[] {
  const lines = Buffer.from(bytes)
    .toString("latin1")
    .split(/\r\n|\n|\r/);
  // A line end at the end of a file begins no row.
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Judges rows of ANY_BYTES against the contents of files by their names; the object itself has the empty one. */
export function judgeBytes(
  contents: ReadonlyMap<string, Uint8Array>,
): (rows: readonly LoadedRow[]) => string | undefined {
  return (rows) => {
    const extra = rows.find(({ entry }) => !contents.has(entry));
    if (extra !== undefined) return `unexpected entry ${JSON.stringify(extra.entry)}`;
    for (const [name, bytes] of contents) {
      const seen = rows.filter(({ entry }) => entry === name).map(({ values }) => values[0] ?? "");
      const difference = firstDifference(seen, linesOf(bytes), (a, b) => a === b);
      if (difference !== undefined) return `${JSON.stringify(name)}: ${difference}`;
    }
    return undefined;
  };
}
