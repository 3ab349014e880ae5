import { randomBytes, randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The master key in the file `master.key` of a directory, 32 bytes in base64; made once, readable by
 * its owner alone. Throws when the file is something else, or others may read it.
 */
export function readOrMakeMasterKey(directory: string): Uint8Array {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "master.key");
  const draft = `${path}.${randomUUID()}`;
  try {
    writeFileSync(draft, `${randomBytes(32).toString("base64")}\n`, { flag: "wx", mode: 0o600 });
    linkSync(draft, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) {
      throw error;
    }
  } finally {
    rmSync(draft, { force: true });
  }
  if ((statSync(path).mode & 0o077) !== 0) {
    throw new Error(`${path} can be read by others; allow its owner alone (chmod 600)`);
  }
  const key = Buffer.from(readFileSync(path, "utf8").trim(), "base64");
  if (key.length !== 32) {
    throw new Error(`${path} does not hold a master key of 32 bytes`);
  }
  return key;
}
