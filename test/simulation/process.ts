import type { Random } from "../chaos/random.ts";
import type { Timeline } from "./timeline.ts";

/** Something that answers requests: a server behind a network. */
export interface Host {
  isDown(): boolean;
  /** When it was killed the last time, in milliseconds: what was on its way to it by then never arrives. */
  readonly killedAt: number;
  /** Whether the client of the request that is carried out now has given it up. */
  isGivenUp: boolean;
  /** What a client makes of an answer that does not come. */
  unavailable(): Error;
  /** What becomes of the next request; `isPublish` if tables change places by it. */
  fate(isPublish: boolean): Fate;
}

export interface Fate {
  /** Until the request is there, in milliseconds. */
  readonly delayMs: number;
  /** How long the process stands still before it sends it, in milliseconds. */
  readonly pauseMs?: number;
  /** `lost`: it never arrives. `answer lost`: it is carried out, and nobody hears. `late`: its client has given it up when it arrives. */
  readonly kind: "well" | "lost" | "answer lost" | "late";
}

/** A process of ours: it may die, which nothing of it survives, and it may stand still and go on. */
export interface Process {
  readonly id: string;
  /** Never settles once the process is dead. */
  request<T>(host: Host, effect: () => T, signal?: AbortSignal, isPublish?: boolean): Promise<T>;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Ends what runs; a later life begins with what is called afterwards. */
  kill(): void;
  pause(ms: number): void;
}

const GIVE_UP_MS = 400;

export function createProcess(id: string, timeline: Timeline, random: Random): Process {
  let life = 0;
  let pausedUntil = 0;

  /** Lets the process hear of something, when it can. */
  const tell = (born: number, hear: () => void): void => {
    if (life !== born) return;
    const pauseMs = pausedUntil - timeline.now();
    if (pauseMs > 0) timeline.after(pauseMs, () => tell(born, hear));
    else hear();
  };

  return {
    id,
    request: <T>(host: Host, effect: () => T, signal?: AbortSignal, isPublish = false) =>
      new Promise<T>((resolve, reject) => {
        const born = life;
        const answer = (ms: number, hear: () => void): void =>
          timeline.after(ms, () => tell(born, hear));
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        if (signal?.aborted) return reject(signal.reason);
        const { delayMs, kind, pauseMs = 0 } = host.fate(isPublish);
        const giveUp = (): void => answer(GIVE_UP_MS, () => reject(host.unavailable()));
        const send = (): void => {
          const sentAt = timeline.now();
          if (kind === "lost" || kind === "late") giveUp();
          if (kind === "lost") return;
          timeline.after(delayMs, () => {
            if (host.isDown() || host.killedAt >= sentAt) {
              answer(1, () => reject(host.unavailable()));
              return;
            }
            host.isGivenUp = kind === "late";
            let hear: () => void;
            try {
              const value = effect();
              hear = () => resolve(value);
            } catch (error) {
              hear = () => reject(error);
            }
            if (kind === "answer lost") giveUp();
            else answer(1 + random.next() * 10, hear);
          });
        };
        if (pauseMs > 0) pausedUntil = timeline.now() + pauseMs;
        tell(born, send);
      }),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const born = life;
        if (signal?.aborted) return reject(signal.reason);
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        timeline.after(ms, () => tell(born, resolve));
      }),
    kill() {
      life += 1;
      pausedUntil = 0;
    },
    pause(ms) {
      pausedUntil = timeline.now() + ms;
    },
  };
}
