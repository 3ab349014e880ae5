import { startBenchStack } from "./bench-stack.ts";
import { CASES } from "./cases/index.ts";
import { LATENCIES } from "./latency/index.ts";
import { readOptions, USAGE } from "./options.ts";
import { PROFILE_ENVIRONMENT, profileCase } from "./profile.ts";
import { table } from "./report.ts";
import { type Figures, isGood, type Result, surroundings } from "./result.ts";
import { measureCase, prepareCase, removeCase } from "./run-case.ts";
import { missingTools } from "./tools.ts";
import { writeDocs } from "./write-docs.ts";

/** `pnpm bench`: docs/benchmarks.md says what is compared, and how. */

const tell = (line: string): void => void process.stderr.write(`${line}\n`);
const names = [...CASES, ...LATENCIES].map(({ name }) => name);

let options: ReturnType<typeof readOptions>;
try {
  options = readOptions(process.argv.slice(2), names);
} catch (error) {
  tell(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  process.exit(2);
}
const { rounds, scale, isJson, isProfile } = options;
const isChosen = ({ name }: { readonly name: string }): boolean =>
  options.cases.length === 0 || options.cases.includes(name);

await using stack = await startBenchStack(isProfile ? PROFILE_ENVIRONMENT : {});
const around = await surroundings(stack.clickhouse, { rounds, scale });
const results: Result[] = [];
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // gpg's agent, for one, does not end with its parent.
  process.once(signal, async () => {
    await stack[Symbol.asyncDispose]();
    process.exit(130);
  });
}

for (const each of CASES.filter(isChosen)) {
  const missing = missingTools(each.tools ?? []);
  if (missing.length > 0) {
    const reason = `${missing.join(" and ")} is not installed here`;
    report({ kind: "skipped", case: each.name, reason });
    continue;
  }
  await measured(each.name, async () => {
    tell(`${each.name}: making or finding its data`);
    const prepared = await prepareCase(stack, each, scale);
    try {
      return isProfile
        ? await profileCase(stack, prepared, rounds, tell)
        : await measureCase(stack, prepared, rounds, tell);
    } finally {
      await removeCase(stack, prepared);
    }
  });
}
for (const each of LATENCIES.filter(isChosen)) {
  if (isProfile) break;
  await measured(each.name, async () => await each.measure(stack, { rounds, scale, tell }));
}

if (!isJson && !isProfile) process.stdout.write(`${table(results)}\n`);
if (options.writesDocs) writeDocs(results);
process.exitCode = results.every(isGood) ? 0 : 1;

/** A case that fails is told and counted; the others go on. */
async function measured(name: string, measure: () => Promise<Figures | undefined>): Promise<void> {
  try {
    const figures = await measure();
    if (figures !== undefined) report(figures);
  } catch (error) {
    const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    report({ kind: "failed", case: name, reason });
    tell(`${name} failed: ${error instanceof Error ? error.stack : error}`);
  }
}

function report(figures: Figures): void {
  const result: Result = { ...figures, ...around };
  results.push(result);
  if (isJson) process.stdout.write(`${JSON.stringify(result)}\n`);
}
