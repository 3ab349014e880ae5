import { StageError } from "@sluice/errors";
import type { MissingFile } from "./plan.ts";

/** The failure of a run that lacks required files: it tells of the first, and counts the others. */
export function fileNotFound(bucket: string, missing: readonly MissingFile[]): StageError {
  const [file] = missing;
  if (file === undefined) throw new Error("no file is missing");
  const { archiveByAnotherName: other, lookedFor, day } = file;
  if (other !== undefined) {
    const message = `no archive is called ${lookedFor} for ${day}; there is ${other}`;
    const place = { bucket, key: lookedFor };
    const options = { ...place, seen: other, expected: lookedFor };
    return new StageError("decompress", "name_mismatch", message, options);
  }
  const others = missing.length - 1;
  const more = others > 0 ? `; ${others} more required files are missing` : "";
  return explain(bucket, file, "", more);
}

/** The failure of a run whose files are all optional, of which none is there. */
export function nothingFound(bucket: string, missing: readonly MissingFile[]): StageError<"list"> {
  const [file] = missing;
  if (file === undefined) throw new Error("no file is missing");
  return explain(bucket, file, "every file is optional, but one has to be there: ", "");
}

function explain(
  bucket: string,
  file: MissingFile,
  before: string,
  after: string,
): StageError<"list"> {
  const { lookedFor, day, listedKeys, listedPrefix, nearest } = file;
  const where = listedPrefix === "" ? "in the bucket" : `under ${listedPrefix}`;
  const count = listedKeys >= 1000 ? `${listedKeys} keys or more` : `${listedKeys} keys`;
  const sentences = [
    `${before}no object matches ${lookedFor} for ${day}; ${count} were listed ${where}`,
    ...(nearest.length > 0 ? [`the nearest are ${nearest.join(", ")}`] : []),
    ...daysInWords(file),
  ];
  return new StageError("list", "file_not_found", sentences.join("; ") + after, {
    bucket,
    key: lookedFor,
    seen: `${count} ${where}`,
    expected: lookedFor,
  });
}

/** For which days there would have been files. */
function daysInWords({ day, matchingDays }: MissingFile): string[] {
  if (matchingDays === undefined) return [];
  const { oldest, newest, nearest, isComplete } = matchingDays;
  const looked = isComplete ? "" : " among the keys that were looked at";
  if (oldest === undefined || newest === undefined) {
    return [`the pattern finds no file for any day${looked}`];
  }
  const range =
    day < oldest
      ? `${day} is before the oldest file that the pattern finds, of ${oldest}${looked}`
      : day > newest
        ? `${day} is after the newest file that the pattern finds, of ${newest}${looked}`
        : `the pattern finds files from ${oldest} to ${newest}${looked}, but none for ${day}`;
  return [`${range}; the nearest days with files are ${nearest.join(", ")}`];
}
