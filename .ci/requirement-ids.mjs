// Lists, for every requirement of docs/requirements.md, the end-to-end tests whose names name it, as in
// `it("previews a PGP file as a table (PV-1, PV-2)")`. Fails when a requirement has none, or a test names one that
// does not exist.
import { readdirSync, readFileSync } from "node:fs";

const TESTS = new URL("../test/e2e/", import.meta.url);
const ID = /^([A-Z]{2})-(\d+)(?:\.\.(\d+))?$/;

const document = readFileSync(new URL("../docs/requirements.md", import.meta.url), "utf8");
const known = [...document.matchAll(/^\| ([A-Z]{2}-\d+) \|/gm)].map(([, id]) => id);
const filesOf = new Map(known.map((id) => [id, new Set()]));
const unknown = [];

for (const file of readdirSync(TESTS, { recursive: true }).filter((name) =>
  name.endsWith(".test.ts"),
)) {
  for (const id of namedBy(readFileSync(new URL(file, TESTS), "utf8"))) {
    const files = filesOf.get(id);
    if (files === undefined) unknown.push(`${id} of ${file} is not in docs/requirements.md`);
    else files.add(file);
  }
}

const unnamed = known.filter((id) => filesOf.get(id).size === 0);
for (const [id, files] of process.argv.includes("--brief") ? [] : filesOf) {
  console.log(`${id.padEnd(6)} ${files.size === 0 ? "NO TEST" : [...files].sort().join(", ")}`);
}
for (const line of unknown) console.error(line);
console.log(
  unnamed.length === 0
    ? `all ${known.length} requirements are named by a test`
    : `${unnamed.length} of ${known.length} requirements are named by no test: ${unnamed.join(", ")}`,
);
process.exitCode = unnamed.length + unknown.length === 0 ? 0 : 1;

/** The ids in parentheses on lines that are no comments; `WF-20..22` stands for three. */
function namedBy(source) {
  const lines = source.split("\n").filter((line) => !/^\s*(\/\/|\/?\*)/.test(line));
  return lines.flatMap((line) =>
    [...line.matchAll(/\(([A-Z]{2}-\d[^()]*)\)/g)].flatMap(([, inside]) =>
      inside.split(/, ?/).flatMap((word) => {
        const [, kind, first, last = first] = ID.exec(word) ?? [];
        if (kind === undefined) return [];
        const count = Number(last) - Number(first) + 1;
        return Array.from({ length: count }, (_, index) => `${kind}-${Number(first) + index}`);
      }),
    ),
  );
}
