import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";

/** Fewer characters are refused: a key is no word that somebody could think of. */
const LEAST_LENGTH = 32;

/**
 * The key that this worker and control show each other with every call: the one given, else the one of the file; empty
 * when neither is named, and then no worker starts. Throws one line that names the setting when the key is too short,
 * or when others may read the file.
 */
export function readWorkerKey(given: string, file: string): string {
  if (given === "" && file === "") return "";
  const name = given === "" ? "SLUICE_WORKER_KEY_FILE" : "SLUICE_WORKER_KEY";
  const key = given || read(file);
  if (key.length < LEAST_LENGTH || /[^\x21-\x7e]/.test(key)) {
    throw new Error(`${name} takes a key of at least ${LEAST_LENGTH} visible ASCII characters`);
  }
  return key;
}

/** How the key is sent, in both directions. */
export function workerAuthorization(key: string): string {
  return `Worker ${key}`;
}

/** Whether a call carries the key, in a time that tells nothing about where they differ. */
export function isWorkerAuthorization(value: unknown, key: string): boolean {
  const seen = typeof value === "string" ? value : "";
  return key !== "" && timingSafeEqual(digest(seen), digest(workerAuthorization(key)));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text, "utf8").digest();
}

function read(file: string): string {
  try {
    if ((statSync(file).mode & 0o077) === 0) return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new Error(`SLUICE_WORKER_KEY_FILE: ${file} can't be read`, { cause });
  }
  throw new Error(
    `SLUICE_WORKER_KEY_FILE: ${file} can be read by others; allow its owner alone (chmod 600)`,
  );
}
