import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { keepKeyFile } from "./key-file.ts";

/** Fewer characters are refused: a key is no word that somebody could think of. */
export const LEAST_WORKER_KEY_LENGTH = 32;

/** How a worker key is sent, in both directions. No API key is ever taken for one: the scheme is another. */
export function workerAuthorization(key: string): string {
  return `Worker ${key}`;
}

/** Whether the header carries the key, in a time that tells nothing about where they differ. */
export function isWorkerAuthorization(header: string | null, key: string): boolean {
  return timingSafeEqual(digest(header ?? ""), digest(workerAuthorization(key)));
}

/** The worker key in the file; made once when there is none. Throws when it is too short, or others may read it. */
export function readOrMakeWorkerKey(path: string): string {
  const key = keepKeyFile(path, `slw_${randomBytes(32).toString("base64url")}`);
  if (key.length < LEAST_WORKER_KEY_LENGTH || /[^\x21-\x7e]/.test(key)) {
    throw new Error(
      `${path} holds no worker key: ${LEAST_WORKER_KEY_LENGTH} visible ASCII characters at least`,
    );
  }
  return key;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text, "utf8").digest();
}
