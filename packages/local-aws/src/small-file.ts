import { renameSync, rmSync, writeFileSync } from "node:fs";

/** Writes a JSON document in one step: a reader sees the old one or the new one. */
export function writeJson(path: string, value: unknown): void {
  const unfinished = `${path}.new`;
  writeFileSync(unfinished, JSON.stringify(value), { mode: 0o600 });
  renameSync(unfinished, path);
}

/** Removes a file; one that is gone already is fine. */
export function removeFile(path: string): void {
  rmSync(path, { force: true });
}
