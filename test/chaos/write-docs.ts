import { readFileSync, writeFileSync } from "node:fs";
import { FAULTS } from "./catalog.ts";
import type { Summary } from "./report.ts";

const PAGE = new URL("../../docs/reliability.md", import.meta.url);
const [BEGIN, END] = ["<!-- counts: begin -->", "<!-- counts: end -->"];

/** Puts the counts of a whole run into the documentation. */
export function writeDocs(summary: Summary, seed: string): void {
  const page = readFileSync(PAGE, "utf8");
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`${PAGE} has no place for counts`);
  const bound = ((3 / summary.runs) * 100).toFixed(1);
  const isClean = summary.violations === 0;
  const played = new Map(summary.faults.map((count) => [count.id, count]));
  const lines = [
    `Seed ${seed}: ${summary.runs} runs, ${summary.violations} violations, ${summary.unverified} unverified.` +
      (isClean
        ? ` With none in ${summary.runs} runs, at most ${bound} % of such runs break an invariant (95 %).`
        : ""),
    "",
    "| fault | what happens | runs | fired | violations |",
    "|---|---|---|---|---|",
    ...FAULTS.map(({ id, title, breaks }) => {
      const count = played.get(id);
      const found = count?.violations.join(" ") || "0";
      const verdict = breaks === undefined || found !== "0" ? found : `${breaks}, as it has to be`;
      return `| ${id} | ${title} | ${count?.runs ?? 0} | ${count?.fired ?? 0} | ${verdict} |`;
    }),
  ];
  writeFileSync(PAGE, `${head}${BEGIN}\n${lines.join("\n")}\n${END}${tail}`);
}
