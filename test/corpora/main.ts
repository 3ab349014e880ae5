import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Story, startStory } from "../e2e/story.ts";
import { goArchiveCorpus, zipCorpus } from "./archive-corpus.ts";
import { avroCorpus } from "./avro-corpus.ts";
import { compressedCorpus, zstdCorpus } from "./compressed-corpus.ts";
import type { Corpus, CorpusCase } from "./corpus-case.ts";
import { csvCorpus } from "./csv-corpus.ts";
import { jsonCorpus } from "./json-corpus.ts";
import { loadCase, type Outcome } from "./load-case.ts";
import { parquetCorpus } from "./parquet-corpus.ts";
import { pgpCorpus } from "./pgp-corpus.ts";
import { xmlCorpus } from "./xml-corpus.ts";

/**
 * Runs every file of the corpora through the whole product, object in S3 to table, and counts. Folders are known by
 * what is in them; other folders of the same shapes may be given as arguments.
 */

const SHAPES = [
  parquetCorpus,
  csvCorpus,
  jsonCorpus,
  avroCorpus,
  zipCorpus,
  goArchiveCorpus,
  compressedCorpus,
  zstdCorpus,
  pgpCorpus,
  xmlCorpus,
];
/** Files loaded side by side: the product's own two cores are the limit. */
const LANES = 3;

interface Judged {
  readonly each: CorpusCase;
  readonly outcome: Outcome;
}

const DEFAULT = fileURLToPath(new URL("../../../shared/corpora", import.meta.url));
const given = process.argv.slice(2);
if (given.length === 0 && !existsSync(DEFAULT)) {
  process.stdout.write("no corpora: ../shared/corpora is absent; name folders as arguments\n");
  process.exit(2);
}
const folders =
  given.length > 0
    ? given.map((folder) => resolve(folder))
    : readdirSync(DEFAULT, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => join(DEFAULT, name));

const totals = { files: 0, wrong: 0, refused: 0, typed: 0, hung: 0, unmet: 0 };
let fed = 0;
await using story = await startStory();
for (const folder of folders) {
  const corpora = await corporaIn(folder);
  if (corpora.length === 0) process.stdout.write(`${basename(folder)}: of no known shape\n`);
  for (const corpus of corpora) report(folder, corpus, await runAll(story, corpus));
}
process.stdout.write(
  `${totals.files} files\n` +
    `wrong but successful loads: ${totals.wrong}\n` +
    `refusals with a typed code: ${totals.typed} of ${totals.refused}\n`,
);
const isGood =
  totals.files > 0 && totals.wrong === 0 && totals.hung === 0 && totals.typed === totals.refused;
process.exitCode = isGood ? 0 : 1;

async function corporaIn(folder: string): Promise<Corpus[]> {
  const found = await Promise.all(SHAPES.map(async (shape) => await shape(folder)));
  return found.filter((corpus) => corpus !== undefined);
}

async function runAll(running: Story, { cases }: Corpus): Promise<Judged[]> {
  const judged: Judged[] = [];
  const left = cases.entries();
  const lane = async (): Promise<void> => {
    for (const [index, each] of left) {
      judged[index] = { each, outcome: await loadCase(running, `c${++fed}`, each) };
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return judged;
}

function report(folder: string, { kind }: Corpus, judged: readonly Judged[]): void {
  const unmet = judged.filter(({ each, outcome }) => !isMet(each, outcome));
  const met = judged.length - unmet.length;
  process.stdout.write(`${basename(folder)}, ${kind}: ${met} of ${judged.length} as they should\n`);
  for (const { each, outcome } of judged) {
    totals.files++;
    if (outcome.kind === "wrong") totals.wrong++;
    if (outcome.kind === "hung") totals.hung++;
    if (outcome.kind === "refused") {
      totals.refused++;
      if (outcome.isTyped) totals.typed++;
    }
    const isNews =
      !isMet(each, outcome) || (outcome.kind === "refused" && each.expect !== "refused");
    if (isNews) process.stdout.write(`  ${each.name}: ${describe(outcome)}\n`);
  }
  totals.unmet += unmet.length;
}

/** Whether the corpus' own expectation holds. A refusal of what may be either is fine, if it is typed. */
function isMet({ expect }: CorpusCase, outcome: Outcome): boolean {
  if (outcome.kind === "refused") return outcome.isTyped && expect !== "loaded";
  return outcome.kind === "right";
}

function describe(outcome: Outcome): string {
  switch (outcome.kind) {
    case "right":
      return "loaded";
    case "wrong":
      return `WRONG: ${outcome.why}`;
    case "hung":
      return "HUNG";
    case "refused":
      return `refused, ${outcome.isTyped ? "" : "UNTYPED "}${outcome.code}: ${outcome.message.slice(0, 160)}`;
  }
}
