import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Profile } from "./config.ts";
import { usageError } from "./usage.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The API key to call with: of --key-file, SLUICE_API_KEY, the profile; on this machine also the one that `npm start`
 * keeps in SLUICE_DATA_DIR, or .sluice of the current folder. A profile that was named is closer than SLUICE_API_KEY.
 */
export function findApiKey(
  env: Environment,
  options: { readonly keyFile?: string | undefined; readonly profile?: string | undefined },
  { url, key }: Profile,
): string | undefined {
  if (options.keyFile !== undefined) {
    const found = readKey(options.keyFile);
    if (found === undefined) throw usageError(`${options.keyFile}: there is no such file`);
    return found;
  }
  const named = options.profile === undefined ? undefined : key;
  return named ?? (env.SLUICE_API_KEY?.trim() || key) ?? (isHere(url) ? keyOfHere(env) : undefined);
}

/** A key in a file that its owner alone may read; undefined when there is no file. */
export function readKey(file: string): string | undefined {
  let text: string;
  try {
    assertPrivate(file);
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  if (!/^[\x21-\x7e]+$/.test(text)) throw usageError(`${file} does not hold an API key`);
  return text;
}

/** Refuses a file with a secret that others may read. */
export function assertPrivate(file: string): void {
  if (process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0) {
    throw usageError(`${file} can be read by others; allow its owner alone: chmod 600 ${file}`);
  }
}

/** The key of this machine goes to this machine alone. */
function isHere(url: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
}

function keyOfHere(env: Environment): string | undefined {
  return readKey(join(env.SLUICE_DATA_DIR || ".sluice", "admin.key"));
}
