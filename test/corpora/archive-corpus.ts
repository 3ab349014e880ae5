import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { ArchiveSettings_Kind } from "@sluice/api/control/v1/file_settings_pb";
import type { FileSettings } from "../e2e/story.ts";
import { ANY_BYTES, ANY_BYTES_FIELDS, judgeBytes } from "./any-bytes.ts";
import type { Corpus, CorpusCase } from "./corpus-case.ts";
import { filesBelow } from "./files-below.ts";
import { readByPython } from "./read-by-python.ts";

const ZIP: FileSettings = { ...ANY_BYTES, archive: { kind: ArchiveSettings_Kind.ZIP } };
const TAR: FileSettings = { ...ANY_BYTES, archive: { kind: ArchiveSettings_Kind.TAR } };

/** Folders `failure` and `success` of zips: those in the first must be refused, those in the other stand beside their content. */
export function zipCorpus(folder: string): Corpus | undefined {
  if (!existsSync(join(folder, "failure")) || !existsSync(join(folder, "success")))
    return undefined;
  const zips = (kind: string): string[] =>
    readdirSync(join(folder, kind)).filter((name) => name.endsWith(".zip"));
  const refused = zips("failure").map(
    (name): CorpusCase => ({ ...zipCase(folder, join("failure", name)), expect: "refused" }),
  );
  const loaded = zips("success").map((name): CorpusCase => {
    const beside = join(folder, "success", name.replace(/\.zip$/, ""));
    // Encrypted zips are refused by policy, whatever stands beside them.
    const expect = name.includes("encryption") ? "refused" : "loaded";
    const judge = judgeBytes(contentsOf(beside));
    return { ...zipCase(folder, join("success", name)), expect, judge };
  });
  return { kind: "zips", cases: [...refused, ...loaded] };
}

/** Zips and tars anywhere below `archive-zip` and `archive-tar`, with Python's reader as the truth of what loads. */
export function goArchiveCorpus(folder: string): Corpus | undefined {
  const zips = filesBelow(join(folder, "archive-zip")).filter((path) => path.endsWith(".zip"));
  const tars = filesBelow(join(folder, "archive-tar")).filter((path) => path.endsWith(".tar"));
  if (zips.length + tars.length === 0) return undefined;
  const cases = [...zips, ...tars].map((path): CorpusCase => {
    const contents = readByPython(path);
    const judge = contents === undefined ? {} : { judge: judgeBytes(contents) };
    const settings = path.endsWith(".tar") ? TAR : ZIP;
    return { ...zipCase(folder, relative(folder, path)), settings, ...judge };
  });
  return { kind: "archives of many writers", cases };
}

function zipCase(folder: string, name: string): CorpusCase {
  return {
    name,
    bytes: readFileSync(join(folder, name)),
    settings: ZIP,
    fields: ANY_BYTES_FIELDS,
    expect: "either",
  };
}

function contentsOf(folder: string): Map<string, Uint8Array> {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return new Map();
  return new Map(
    filesBelow(folder)
      .filter((path) => !path.endsWith(".git_please_make_this_directory"))
      .map((path) => [relative(folder, path), readFileSync(path)]),
  );
}
