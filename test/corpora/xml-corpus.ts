import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Corpus, textField } from "./corpus-case.ts";

/** A folder `xmltestdata` of attacks: whatever declares a document type must be refused. */
export function xmlCorpus(folder: string): Corpus | undefined {
  const files = join(folder, "xmltestdata");
  if (!existsSync(files)) return undefined;
  const names = readdirSync(files).filter((name) => /\.(xml|xsl|xsd)$/.test(name));
  return {
    kind: "XML attacks",
    cases: names.map((name) => {
      const bytes = readFileSync(join(files, name));
      const rowElement = /<([\w:]+)[^>]*>[^<]*<\/\1>/.exec(bytes.toString("latin1"))?.[1] ?? "root";
      return {
        name,
        bytes,
        settings: { format: { case: "xml", value: { rowElement } } },
        fields: [textField("#text", 0)],
        expect: bytes.includes("<!DOCTYPE") ? "refused" : "either",
      };
    }),
  };
}
