import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const SAMPLE_MS = 100;

/** Watches a process's resident memory from outside, on any Unix. */
export function watchMemory(pid: () => number): { stop(): number } {
  let peakKib = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const sample = async (): Promise<void> => {
    try {
      const { stdout } = await run("ps", ["-o", "rss=", "-p", String(pid())]);
      peakKib = Math.max(peakKib, Number(stdout.trim()));
    } catch (error) {
      // The process may be gone between two samples; the next sample asks again.
      if (!(error instanceof Error)) throw error;
    }
    if (!stopped) timer = setTimeout(() => void sample(), SAMPLE_MS);
  };
  void sample();
  return {
    /** Ends the watch and gives the peak in bytes. */
    stop() {
      stopped = true;
      clearTimeout(timer);
      return peakKib * 1024;
    },
  };
}
