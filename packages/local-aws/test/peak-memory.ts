import { readFileSync } from "node:fs";

/** The largest resident size a process has had, in bytes; undefined where /proc is not there to say. */
export function peakMemoryBytes(pid: number): number | undefined {
  if (process.platform !== "linux") return undefined;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1_024;
}
