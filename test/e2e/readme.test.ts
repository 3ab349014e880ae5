import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { npmStart, type Product } from "./npm-start.ts";

/** The README's walk-through, run as it is written: only the port is another one. */

const SECTION = "The main job by curl";
const README = new URL("../../README.md", import.meta.url);

const missing = ["bash", "curl"].filter((name) => spawnSync(name, ["--version"]).status !== 0);
if (missing.length > 0) console.warn(`there is no ${missing.join(", no ")} here: skipped`);

let folder: string;
let product: Product | undefined;
beforeAll(async () => {
  if (missing.length > 0) return;
  folder = await mkdtemp(join(tmpdir(), "sluice-readme-"));
  product = await npmStart(join(folder, ".sluice"));
});
afterAll(async () => {
  if (missing.length > 0) return;
  await product?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** The commands of a section, one text for each block. */
function blocksOf(readme: string, title: string): string[] {
  const section = readme.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? "";
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block);
}

const run = promisify(execFile);

test.skipIf(missing.length > 0)(
  "a reader who pastes the README's commands sees the example file's three rows",
  async () => {
    const blocks = blocksOf(await readFile(README, "utf8"), SECTION);
    expect(blocks.length).toBeGreaterThan(5);
    const port = new URL(product?.url ?? "").port;
    const script = ["set -e", ...blocks].join("\n").replaceAll(":8080/", `:${port}/`);
    expect(script).not.toContain("8080");

    const { stdout } = await run("bash", ["-c", script], { cwd: folder, timeout: 120_000 });
    expect(stdout).toContain("sts:ExternalId");
    expect(stdout).toContain('"successful":true');
    expect(stdout).toContain("customers/2026-11-20.csv");
    expect(stdout).toMatch(/^STATE_SUCCEEDED$/m);
    const [workflow, table, sample] = stdout
      .trim()
      .split("\n")
      .slice(-3)
      .map((line): unknown => JSON.parse(line));
    expect(workflow).toMatchObject({ workflow: { state: "STATE_SUCCEEDED" } });
    expect(table).toMatchObject({ domainTable: { rows: "3" } });
    expect(sample).toMatchObject({
      rows: [
        { values: { id: "1", name: "Ada Lovelace", since: "2024-03-01", points: "120" } },
        { values: { id: "2", name: "Smith, Jr.", email: "smith@example.com", points: "7" } },
        { values: { id: "3", name: "日向", email: "hinata@example.com", points: "1500" } },
      ],
    });
  },
);
