import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Session } from "./session.ts";
import { usageError } from "./usage.ts";

/** Bears with a service that goes away while something is watched. */
export interface Reconnect {
  /** The service answered: what it is given begins anew with the next break. */
  answered(): void;
  /**
   * Waits until it is time to try again, longer from try to try. Throws `error` when it is an answer of the service,
   * when whoever watches has left, and when the service has been away for too long.
   */
  wait(error: unknown): Promise<void>;
}

/** How long a service is given to come back, unless SLUICE_RECONNECT_SECONDS says otherwise. */
const AWAY_SECONDS = 120;
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 5_000;

export function createReconnect({ terminal, url }: Session): Reconnect {
  const { signal, isInteractive } = terminal;
  const awaySeconds = awaySecondsOf(terminal.env.SLUICE_RECONNECT_SECONDS);
  let awaySince: number | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  // A moving line is written anew behind the one that says what happened.
  const tell = (line: string): void => terminal.err(`${isInteractive ? "\r\x1b[K" : ""}${line}\n`);
  return {
    answered() {
      if (awaySince !== undefined) tell("connected again");
      awaySince = undefined;
      pauseMs = FIRST_PAUSE_MS;
    },
    async wait(error) {
      if (signal.aborted || !isBreak(error)) throw error;
      if (awaySince === undefined) {
        awaySince = performance.now();
        if (awaySeconds > 0) {
          tell(`lost the connection to ${url}: reconnecting, for up to ${awaySeconds} s`);
        }
      }
      const leftMs = awaySince + awaySeconds * 1000 - performance.now();
      if (leftMs <= 0) throw error;
      await pause(Math.min(pauseMs, leftMs), undefined, { signal });
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
    },
  };
}

/** Asks until there is an answer, over breaks of the connection. */
export async function askOverBreaks<T>(reconnect: Reconnect, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      const answer = await ask();
      reconnect.answered();
      return answer;
    } catch (error) {
      await reconnect.wait(error);
    }
  }
}

/**
 * Whether the connection ended, and not the call: a service that is killed resets its streams, which the client tells
 * by codes that a service's own answers have as well.
 */
function isBreak(error: unknown): boolean {
  const { code, rawMessage, cause } = ConnectError.from(error);
  if (code === Code.Unavailable) return true;
  const isSystemError = cause instanceof Error && "code" in cause;
  return isSystemError || /^http\/2 stream closed|missing EndStreamResponse/.test(rawMessage);
}

function awaySecondsOf(text: string | undefined): number {
  if (text === undefined || text === "") return AWAY_SECONDS;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw usageError(`SLUICE_RECONNECT_SECONDS is ${JSON.stringify(text)}, not a number of seconds`);
}
