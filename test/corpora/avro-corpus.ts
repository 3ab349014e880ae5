import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { decodeByAvsc } from "./avsc-oracle.ts";
import { type Corpus, type CorpusCase, firstDifference, textField } from "./corpus-case.ts";
import { filesBelow } from "./files-below.ts";

/** Every `.avro` file: object container files load as avsc decodes them, others are refused. */
export async function avroCorpus(folder: string): Promise<Corpus | undefined> {
  const files = filesBelow(folder).filter((path) => path.endsWith(".avro"));
  if (files.length === 0) return undefined;
  const cases = await Promise.all(files.map((path) => toCase(path, relative(folder, path))));
  return { kind: "Avro files", cases };
}

async function toCase(path: string, name: string): Promise<CorpusCase> {
  const bytes = readFileSync(path);
  const settings = { format: { case: "avro", value: {} } } as const;
  if (bytes.subarray(0, 4).toString("latin1") !== "Obj\x01") {
    return { name, bytes, settings, fields: [textField("value", 0)], expect: "refused" };
  }
  const { fields, rows } = await decodeByAvsc(bytes);
  return {
    name,
    bytes,
    settings,
    fields: fields.map(textField),
    expect: "loaded",
    judge: (loaded) =>
      firstDifference(
        loaded.map(({ values }) => values),
        rows,
        (a, b) => a.every((value, index) => isSame(value, b[index] ?? null)),
      ),
  };
}

/** Values that are JSON on both sides are compared as such: blanks and the order of names mean nothing. */
function isSame(a: string | null, b: string | null): boolean {
  if (a === b) return true;
  if (a === null || b === null || !/^[[{]/.test(a)) return false;
  try {
    return isDeepStrictEqual(JSON.parse(a), JSON.parse(b));
  } catch {
    return false;
  }
}
