import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CSV } from "../e2e/story.ts";
import { type Corpus, firstDifference, textField } from "./corpus-case.ts";

/** Their JSON does not say what the files hold, as stored. */
const UNTRUE = new Set(["newlines_crlf.csv", "location_coordinates.csv"]);

/** Folders `csvs` and `json`: a table, and its rows as a list of objects under the same name. */
export function csvCorpus(folder: string): Corpus | undefined {
  if (!existsSync(join(folder, "csvs")) || !existsSync(join(folder, "json"))) return undefined;
  const names = readdirSync(join(folder, "csvs")).filter((name) => !UNTRUE.has(name));
  return {
    kind: "CSV dialects",
    cases: names.map((name) => {
      const truth: Record<string, string>[] = JSON.parse(
        readFileSync(join(folder, "json", name.replace(/\.csv$/, ".json")), "utf8"),
      );
      const columns = Object.keys(truth[0] ?? {});
      return {
        name,
        bytes: readFileSync(join(folder, "csvs", name)),
        settings: CSV,
        fields: columns.map(textField),
        expect: "loaded",
        judge: (rows) =>
          firstDifference(
            rows.map(({ values }) => values.map((value) => value ?? "")),
            truth.map((record) => columns.map((column) => record[column] ?? "")),
            (a, b) => a.join("\0") === b.join("\0"),
          ),
      };
    }),
  };
}
