import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "crash-point-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const MODULE = new URL("../src/crash-point.ts", import.meta.url).href;
const SCRIPT = `
  const { crashPoint } = await import(${JSON.stringify(MODULE)});
  for (let visit = 1; visit <= 3; visit++) {
    crashPoint("here");
    console.log(visit);
  }`;

/** A process that visits the point `here` three times. */
function visit(environment: Record<string, string>): { lived: string; signal: string | null } {
  const { stdout, signal } = spawnSync(process.execPath, ["--input-type=module", "-e", SCRIPT], {
    env: environment,
    encoding: "utf8",
  });
  return { lived: stdout.trim().split("\n").join(""), signal };
}

const arm = (point: string, hit: number): void =>
  writeFileSync(join(folder, "armed"), JSON.stringify({ id: "1", point, hit, action: "kill" }));

test("is nothing in a process that no harness started, whatever folder is named", () => {
  arm("here", 1);
  expect(visit({ SLUICE_CHAOS_DIR: folder })).toEqual({ lived: "123", signal: null });
  expect(readdirSync(folder)).toEqual(["armed"]);
});

test("notes its visits, and kills at the one that is ordered, once", () => {
  const environment = { SLUICE_CHAOS: "1", SLUICE_CHAOS_DIR: folder };
  arm("here", 2);
  expect(visit(environment)).toEqual({ lived: "1", signal: "SIGKILL" });
  expect(visit(environment)).toEqual({ lived: "123", signal: null });
  expect(readFileSync(join(folder, "hits"), "utf8")).toBe("here\n".repeat(5));
});

test("lets pass whoever visits another point", () => {
  arm("elsewhere", 1);
  const environment = { SLUICE_CHAOS: "1", SLUICE_CHAOS_DIR: folder };
  expect(visit(environment)).toEqual({ lived: "123", signal: null });
});
