import { randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** The text of a file that its owner alone may read; undefined when there is no file. Throws when others may. */
export function readKeyFile(path: string): string | undefined {
  try {
    if ((statSync(path).mode & 0o077) !== 0) {
      throw new Error(`${path} can be read by others; allow its owner alone (chmod 600)`);
    }
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes the text to a file that its owner alone may read, unless there is one: then gives what that one holds. */
export function keepKeyFile(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomUUID()}`;
  try {
    writeFileSync(draft, `${text}\n`, { flag: "wx", mode: 0o600 });
    linkSync(draft, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readKeyFile(path) ?? text;
}
