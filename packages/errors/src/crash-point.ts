import { appendFileSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";

/** What a process does at a crash point that is armed. */
interface Armed {
  /** Of this order; a later one counts anew. */
  readonly id: string;
  readonly point: string;
  /** The how manieth visit counts, from 1. */
  readonly hit: number;
  /** SIGKILL, SIGSTOP, or the end of the thread that is there alone. */
  readonly action: "kill" | "stop" | "exit";
}

/**
 * The folder of a chaos harness. The one place outside of a service's config.ts that reads the environment: a crash is
 * no setting of a service, and load threads have to see it as well.
 */
const folder = process.env.SLUICE_CHAOS === "1" ? process.env.SLUICE_CHAOS_DIR : undefined;
const visits = new Map<string, number>();

/**
 * A named moment at which a process may be made to die: docs/reliability.md. Does nothing, at the cost of one
 * comparison, unless SLUICE_CHAOS = 1 and SLUICE_CHAOS_DIR names a folder; then the visit is noted in its file `hits`,
 * and the file `armed` says whether this is the moment. Whoever renames that file dies, so that one process does.
 */
export function crashPoint(point: string): void {
  if (folder !== undefined) visit(folder, point);
}

function visit(directory: string, point: string): void {
  appendFileSync(join(directory, "hits"), `${point}\n`);
  const armed = readArmed(directory);
  if (armed?.point !== point) return;
  const count = (visits.get(armed.id) ?? 0) + 1;
  visits.set(armed.id, count);
  if (count !== armed.hit) return;
  try {
    renameSync(join(directory, "armed"), join(directory, `fired-${process.pid}-${armed.id}`));
  } catch {
    // Another process was there first: one death was ordered.
    return;
  }
  if (armed.action === "exit") process.exit(1);
  process.kill(process.pid, armed.action === "kill" ? "SIGKILL" : "SIGSTOP");
  // The signal may reach another thread first: nothing more is done here before it has.
  const deaf = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(deaf, 0, 0, armed.action === "kill" ? Number.POSITIVE_INFINITY : 50);
}

function readArmed(directory: string): Armed | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, "armed"), "utf8")) as Armed;
  } catch {
    // Not there: nothing is ordered.
    return undefined;
  }
}
