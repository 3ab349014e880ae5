import { readFileSync, writeFileSync } from "node:fs";
import { chart } from "./chart.ts";
import { table } from "./report.ts";
import type { Result, Surroundings } from "./result.ts";

const PAGE = new URL("../../docs/benchmarks.md", import.meta.url);
const CHART = new URL("../../docs/benchmarks.svg", import.meta.url);
const BEGIN = "<!-- last run: written by pnpm bench --write-docs -->";
const END = "<!-- end of last run -->";

/** Puts the results between the page's marks, and draws the chart of the loads. */
export function writeDocs(results: readonly Result[]): void {
  const [first] = results;
  if (first === undefined) return;
  const page = readFileSync(PAGE, "utf8");
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`docs/benchmarks.md lacks ${BEGIN} or ${END}`);
  const where = describe(first);
  writeFileSync(
    PAGE,
    `${page.slice(0, begin + BEGIN.length)}\n\n${where}\n\n${table(results)}\n\n${page.slice(end)}`,
  );
  const loads = results.filter((result) => result.kind === "load");
  if (loads.length > 0) writeFileSync(CHART, chart(loads, captionOf(first)));
}

function describe({ machine, versions, rounds, scale, time }: Surroundings): string {
  const { cpu, cores, memory_bytes } = machine;
  const { node, clickhouse, sluice } = versions;
  return `${time.slice(0, 10)}, ${cores} cores of ${cpu}, ${(memory_bytes / 2 ** 30).toFixed(0)} GiB; Node ${node}, ClickHouse ${clickhouse}, Sluice ${sluice}; ${rounds} rounds, scale ${scale}.`;
}

const captionOf = ({ machine, versions, scale }: Surroundings): string =>
  `${machine.cores} cores, Node ${versions.node}, ClickHouse ${versions.clickhouse}${scale === 1 ? "" : `, scale ${scale}`}`;
