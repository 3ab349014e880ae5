import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "./stack.ts";
import { digestOfTable } from "./truth.ts";

/** A reader who looks at a table again and again while it is loaded. */
export interface Poller {
  /** What was seen, each change once; a table that is not there reads as "missing". */
  stop(): Promise<readonly string[]>;
  readonly looks: number;
}

const PAUSE_MS = 50;
const UNKNOWN_TABLE = "60";

export function startPoller(stack: Stack, table: string): Poller {
  const seen: string[] = [];
  let looks = 0;
  let isOver = false;
  const look = async (): Promise<string | undefined> => {
    try {
      const digest = await digestOfTable(stack, table);
      looks++;
      return digest;
    } catch (error) {
      const isMissing = error instanceof Error && "code" in error && error.code === UNKNOWN_TABLE;
      // A server that is down is no answer: nobody has seen anything.
      return isMissing ? "missing" : undefined;
    }
  };
  const ended = (async () => {
    while (!isOver) {
      const digest = await look();
      if (digest !== undefined && digest !== seen.at(-1)) seen.push(digest);
      await sleep(PAUSE_MS);
    }
  })();
  return {
    get looks() {
      return looks;
    },
    async stop() {
      isOver = true;
      await ended;
      return seen;
    },
  };
}
