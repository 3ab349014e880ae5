import type { Logger } from "pino";
import { type Bell, createBell } from "./workflow/bell.ts";

/** Work that is done over and over, in the background. */
export interface Loop {
  /** Has it done soon: there is something to do. */
  readonly bell: Bell;
  start(): void;
  /** Waits for a round that is under way. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  /** What a failed round is logged as. */
  readonly name: string;
  readonly log: Logger;
  /** The longest pause between two rounds: what other replicas began is seen no later. */
  readonly longestPauseMs: number;
  /** One round. Gives the time until the next one is due, in milliseconds; undefined when nothing is. */
  round(stopped: AbortSignal): Promise<number | undefined>;
}

/** The pause after a failed round: the database may be away for a while. */
const FAILED_PAUSE_MS = 1_000;

/** Nothing that a round throws ends the loop: it is logged, and done again. */
export function createLoop({ name, log, longestPauseMs, round }: LoopOptions): Loop {
  const bell = createBell();
  const stopping = new AbortController();
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const seen = bell.rung;
      let pauseMs: number;
      try {
        const dueMs = await round(stopping.signal);
        pauseMs = Math.min(dueMs ?? longestPauseMs, longestPauseMs);
      } catch (error) {
        if (stopping.signal.aborted) return;
        log.warn({ err: error }, `${name}: a round failed and is done again`);
        pauseMs = Math.min(FAILED_PAUSE_MS, longestPauseMs);
        await createBell().after(0, pauseMs, stopping.signal);
        continue;
      }
      await bell.after(seen, pauseMs, stopping.signal);
    }
  }

  return {
    bell,
    start() {
      running ??= run();
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
