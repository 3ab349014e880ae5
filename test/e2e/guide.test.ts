import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { npmStart, type Product } from "./npm-start.ts";

/** The guide, run as it is written, in a folder of its own. */

const GUIDE = new URL("../../docs/guide.md", import.meta.url);
const BIN = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));

const noBash = spawnSync("bash", ["--version"]).status !== 0;
if (noBash) console.warn("there is no bash here: skipped");

let folder: string;
let product: Product | undefined;
beforeAll(async () => {
  if (noBash) return;
  folder = await mkdtemp(join(tmpdir(), "sluice-guide-"));
  product = await npmStart(join(folder, ".sluice"));
});
afterAll(async () => {
  if (noBash) return;
  await product?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** The commands of each numbered section, and those before the first. */
function sections(guide: string): string[] {
  return guide
    .split(/^## /m)
    .map((section) =>
      [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block).join(""),
    );
}

/** Marks where the output of a section begins. */
const MARK = "=== section";

test.skipIf(noBash)(
  "a reader who pastes the guide's commands goes the whole way, and sets a failure right (SC-8, CO-5, CR-5, CR-23, PV-1, PV-4, CO-10, FE-4, RU-4, WF-4, WF-9, WF-10, WF-14, RU-5, RU-6)",
  async () => {
    const script = sections(await readFile(GUIDE, "utf8"))
      .map((commands, index) => `echo "${MARK} ${index}"\n${commands}`)
      .join("\n");
    const { stdout } = await promisify(execFile)("bash", ["-euc", script], {
      cwd: folder,
      timeout: 170_000,
      env: {
        PATH: `${BIN}${delimiter}${process.env.PATH}`,
        HOME: folder,
        SLUICE_URL: product?.url,
      },
    });
    const outputs = stdout.split(new RegExp(`^${MARK} \\d+\\n`, "m")).slice(1);
    const [help, identity, credential, look, feed, courier, run, failure, group, own] = outputs;
    expect(help).toContain("Usage: sluice");
    expect(identity).toContain("sts:ExternalId");
    expect(credential).toMatch(/^amazon-s3/m);
    expect(credential).toContain("Connection successful");
    expect(look).toContain("customers/2026-11-20.csv");
    expect(look).toMatch(/^1 +1 +Ada Lovelace/m);
    expect(look).toContain('2,"Smith, Jr.",smith@example.com,2025-11-20,7');
    expect(look).toMatch(/^delimited\.delimiter +, +100 % /m);
    expect(look).toMatch(/^since +date +yyyy-MM-dd /m);
    expect(feed).toContain("state: STATE_DRAFT");
    expect(feed).toMatch(/^ +integer +string +string +date +integer$/m);
    expect(feed).toMatch(/^none$.*^state: STATE_ACTIVE$.*^matches: true$/ms);
    expect(courier).toContain("Connection successful");
    expect(run).toMatch(/^rows +3, 0 rejected$/m);
    expect(run).toMatch(/^3 +日向 +hinata@example.com/m);
    expect(run).toContain("makeAvailableToStitch: true");
    expect(failure).toContain("it ended with exit code 3");
    expect(failure).toContain("connect.bucket_not_found: ");
    expect(failure).toMatch(/workflow-failed/);
    expect(failure).toMatch(
      /^connect\.bucket_not_found: .*^1\. .*^update_credential +\S.*^state +succeeded$/ms,
    );
    expect(group).toContain("nextFireTime:");
    expect(group).toMatch(/^state: STATE_SUCCEEDED$/m);
    expect(own).toMatch(/^state +succeeded$/m);
  },
);
