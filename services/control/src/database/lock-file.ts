import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** The right to use a directory, until released. */
export interface LockFile {
  release(): void;
}

interface Holder {
  readonly pid: number;
  /** When the process began, in the system's own unit, where the system tells: process ids are used again. */
  readonly started: string | undefined;
}

/** Locks of this process, so that a lock with its own process id is told from one of a former life. */
const held = new Set<string>();

/**
 * Takes the lock at `path`, or throws an Error that names who holds it. A lock whose process is gone
 * is taken over. PGlite itself has no lock, and two writers lose data without a word.
 */
export function takeLockFile(path: string): LockFile {
  if (held.has(path)) {
    throw new Error(`${path} is held by this process already`);
  }
  if (!place(path)) {
    takeOver(path);
  }
  held.add(path);
  return {
    release: () => {
      held.delete(path);
      rmSync(path, { force: true });
    },
  };
}

/** Creates the file with its content in one step; false when there is one already. */
function place(path: string): boolean {
  const draft = `${path}.${randomUUID()}`;
  const holder: Holder = { pid: process.pid, started: startOf(process.pid) };
  writeFileSync(draft, JSON.stringify(holder), { flag: "wx", mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) {
      return false;
    }
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * Replaces a lock whose holder is gone. A second file keeps two newcomers from both removing the old
 * lock, the later one removing the earlier one's.
 */
function takeOver(path: string): void {
  const guard = `${path}.takeover`;
  if (!place(guard)) {
    throw new Error(`another process is taking ${path} over; if none is, remove ${guard}`);
  }
  try {
    const holder = readHolder(path);
    if (holder !== undefined) {
      if (isAlive(holder)) {
        throw new Error(`${path} is held by process ${holder.pid}`);
      }
      rmSync(path);
    }
    if (!place(path)) {
      throw new Error(`${path} was taken by another process just now`);
    }
  } finally {
    rmSync(guard, { force: true });
  }
}

function readHolder(path: string): Holder | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT")) {
      return undefined;
    }
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "pid" in value) {
      const { pid } = value;
      const started = "started" in value ? value.started : undefined;
      if (typeof pid === "number" && Number.isInteger(pid) && pid > 0) {
        return { pid, started: typeof started === "string" ? started : undefined };
      }
    }
  } catch (cause) {
    throw new Error(`${path} is not a lock file of this service`, { cause });
  }
  throw new Error(`${path} is not a lock file of this service`);
}

function isAlive(holder: Holder): boolean {
  if (holder.pid === process.pid) {
    return false;
  }
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (isCode(error, "ESRCH")) {
      return false;
    }
    if (!isCode(error, "EPERM")) {
      throw error;
    }
  }
  const started = startOf(holder.pid);
  return started === undefined || holder.started === undefined || started === holder.started;
}

/** The boot and the tick in which a process began; undefined where the system does not tell. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets and may hold anything; the 22nd is the start.
    const tick = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return tick === undefined ? undefined : `${boot}/${tick}`;
  } catch {
    // Not Linux, or the process is gone: then its id alone has to do.
    return undefined;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
