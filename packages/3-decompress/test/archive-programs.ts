import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether a program of another maker is on this machine. */
export function isInstalled(program: string): boolean {
  try {
    execFileSync("/bin/sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A test's title, with the program that it needs named when that is absent. */
export const needs = (program: string): string =>
  isInstalled(program) ? "" : ` (${program} is not installed: skipped)`;

/** Runs `work` in a new folder, and removes the folder. */
export function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "sluice-archive-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a program in a folder and gives its output. */
export function run(
  folder: string,
  program: string,
  args: readonly string[],
  input?: Uint8Array,
): Buffer {
  return execFileSync(program, args, {
    cwd: folder,
    maxBuffer: 2 ** 28,
    stdio: ["pipe", "pipe", "pipe"],
    ...(input && { input }),
  });
}

/** Runs a Python script in a folder and gives its output. */
export const python = (
  folder: string,
  script: string,
  args: readonly string[] = [],
  input?: Uint8Array,
): Buffer => run(folder, "python3", ["-c", script, ...args], input);
