import { parseArgs } from "node:util";
import { FAULTS } from "./catalog.ts";
import type { Fault } from "./fault.ts";
import { inWords, report } from "./report.ts";
import type { RunResult } from "./run.ts";
import { startSession } from "./session.ts";
import { writeDocs } from "./write-docs.ts";

/** `pnpm chaos [--seed N] [--runs N] [--fault ID] [--workers N] [--json] [--write-docs]`: docs/reliability.md. */

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    runs: { type: "string" },
    fault: { type: "string", multiple: true },
    workers: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
    "write-docs": { type: "boolean", default: false },
  },
});

const wanted = (id: string): boolean =>
  values.fault === undefined ||
  values.fault.some(
    (name) => id === name || (name.endsWith("*") && id.startsWith(name.slice(0, -1))),
  );
const chosen = FAULTS.filter(({ id }) => wanted(id));
if (chosen.length === 0) throw new Error(`there is no fault ${values.fault?.join(", ")}`);
const missing = new Map(chosen.map((fault) => [fault.id, fault.unavailable?.()]));
const playable: Fault[] = chosen.filter(({ id }) => missing.get(id) === undefined);
const runs = Number(values.runs ?? playable.length);

const say = (line: string): void => {
  if (!values.json) console.log(line);
};
say(`seed ${values.seed}: ${runs} runs of ${playable.length} faults`);
const results: RunResult[] = [];
await using session = await startSession({ workers: Number(values.workers) });
for (let at = 0; at < runs; at++) {
  const fault = playable[at % playable.length];
  if (fault === undefined) break;
  const result = await session.play(fault, runs === 1 ? values.seed : `${values.seed}.${at}`);
  results.push(result);
  say(inWords(result));
}
const summary = report(playable, results, session.stack.crash.visits());
if (values.json) console.log(JSON.stringify({ seed: values.seed, ...summary, results }));
else console.log(summary.text);
for (const [id, why] of missing) if (why !== undefined) say(`${id} was not played: ${why}`);
if (values["write-docs"]) writeDocs(summary, values.seed);
process.exitCode = summary.isGood ? 0 : 1;
