import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { FileSettings } from "../e2e/story.ts";
import { type Corpus, type CorpusCase, textField } from "./corpus-case.ts";

const JSON_RECORDS: FileSettings = { format: { case: "json", value: {} } };
const EXPECTED: Readonly<Record<string, CorpusCase["expect"]>> = {
  y: "loaded",
  n: "refused",
  i: "either",
};

/**
 * A folder `test_parsing` of texts that must be accepted (y_), refused (n_) or may be either (i_). Many are no
 * records, so each stands as a value inside of one: what is wrong alone is wrong there too.
 */
export function jsonCorpus(folder: string): Corpus | undefined {
  const texts = join(folder, "test_parsing");
  if (!existsSync(texts)) return undefined;
  const names = readdirSync(texts).filter((name) => /^[yni]_.*\.json$/.test(name));
  return {
    kind: "JSON texts",
    cases: names.map((name) => {
      const text = readFileSync(join(texts, name));
      const expect = EXPECTED[name.charAt(0)] ?? "either";
      return {
        name,
        bytes: Buffer.concat([Buffer.from('{"text":'), text, Buffer.from("}\n")]),
        settings: JSON_RECORDS,
        fields: [textField("text", 0)],
        expect,
        judge: (rows) => {
          if (rows.length !== 1) return `${rows.length} rows, expected 1`;
          return expect === "loaded" ? difference(rows[0]?.values[0], text) : undefined;
        },
      };
    }),
  };
}

function difference(seen: string | null | undefined, text: Uint8Array): string | undefined {
  const truth: unknown = JSON.parse(Buffer.from(text).toString());
  // A string arrives decoded, a null as null, all else as its JSON text.
  const value: unknown =
    typeof truth === "string" || seen === null || seen === undefined ? seen : JSON.parse(seen);
  return isDeepStrictEqual(value, truth) ? undefined : `the value is ${seen?.slice(0, 100)}`;
}
