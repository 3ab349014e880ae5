import { setTimeout as sleep } from "node:timers/promises";
import type { Fault, Scene } from "./fault.ts";
import { LEASE_MS } from "./stack.ts";

/** Death at named points of the code. `hits`: which visits of the point may be the one. */
interface Window {
  readonly id: string;
  readonly point: string;
  readonly title: string;
  readonly hits?: number;
  /** The point is visited while a file is read, and only if that takes longer than a heartbeat. */
  readonly isSlow?: true;
  /** The point is visited after the workflow's end, which nobody waits for. */
  readonly isLate?: true;
}

/** How long after the workflow a clean-up may begin. */
const LATE_MS = 3_000;

const WINDOWS: readonly Window[] = [
  { id: "W0", point: "control-workflow-recorded", title: "the workflow is on record" },
  { id: "W1", point: "worker-manifest-told", title: "the manifest is told" },
  { id: "W1c", point: "control-list-recorded", title: "the manifest is frozen" },
  { id: "W2", point: "worker-staging-created", title: "staging is made" },
  { id: "W3", point: "load-before-insert", title: "before insert k", hits: 5 },
  { id: "W5a", point: "load-inserted", title: "insert k is answered, nobody is told", hits: 5 },
  {
    id: "W6",
    point: "control-progress-recorded",
    title: "the checkpoint is on record",
    isSlow: true,
  },
  { id: "W7", point: "worker-load-done", title: "the last batch is done" },
  { id: "W7c", point: "control-loadObject-recorded", title: "the load is on record" },
  { id: "W8", point: "worker-verified", title: "verified, before the intent" },
  { id: "W8i", point: "worker-intent-told", title: "the intent is on record" },
  { id: "W9", point: "publish-claimed", title: "staging is claimed" },
  { id: "W9b", point: "publish-before-change", title: "before the EXCHANGE or MOVE" },
  { id: "W10", point: "publish-changed", title: "after the EXCHANGE or MOVE" },
  { id: "W10b", point: "worker-published", title: "published, control is not told" },
  { id: "W11", point: "control-publish-recorded", title: "the publish is on record" },
  { id: "W11d", point: "worker-before-discard", title: "before the clean-up", isLate: true },
  { id: "W12", point: "load-half-dropped", title: "the clean-up is half done", isLate: true },
  { id: "W14", point: "fetch-session-begun", title: "a session is begun" },
];

const killed = ({ id, point, title, hits = 1, isSlow, isLate }: Window): Fault => ({
  id,
  title: `SIGKILL: ${title}`,
  ends: "well",
  ...(isSlow && { formats: ["csv"] }),
  inject: ({ stack, random, key }) => {
    if (isSlow) {
      stack.s3.add({
        matches: ({ method, url }) => method === "GET" && url.pathname.endsWith(`/${key}`),
        times: 1e9,
        act: async (call) => await call.replySlowly(await call.forward(), 12, 120),
      });
    }
    stack.crash.arm({ point, hit: 1 + random.below(hits), action: "kill" });
    let isFired = false;
    return {
      fired: () => {
        isFired ||= stack.crash.disarm();
        return isFired ? 1 : 0;
      },
      during: async (_, signal) => {
        if (!isLate) return;
        while (!signal.aborted) await sleep(20);
        for (let waited = 0; waited < LATE_MS && !stack.crash.isTaken(); waited += 20)
          await sleep(20);
      },
    };
  },
});

/** A zombie: it stands still at the point, loses its lease, and wakes when another has gone on. */
export const zombie = (id: string, point: string, title: string, hits = 1): Fault => ({
  id,
  title: `a zombie: ${title}`,
  ends: "well",
  inject: (scene) => {
    const { stack, random } = scene;
    stack.crash.arm({ point, hit: 1 + random.below(hits), action: "stop" });
    let isFired = false;
    return {
      fired: () => (isFired ? 1 : 0),
      during: async (_, signal) => {
        for (let left = LATE_MS; !isFired && left > 0; left -= signal.aborted ? 20 : 0) {
          isFired = stack.crash.isTaken();
          await sleep(20);
        }
        if (isFired) await sleep(LEASE_MS * 1.6);
        wake(scene);
      },
      lift: async () => wake(scene),
    };
  },
});

const wake = ({ stack }: Scene): void => {
  for (const { pid } of stack.workers) {
    try {
      process.kill(pid, "SIGCONT");
    } catch {
      // It has died: nobody wakes.
    }
  }
};

export const CRASH_FAULTS: readonly Fault[] = [
  ...WINDOWS.map(killed),
  {
    id: "W13",
    title: "SIGKILL: a worker is told to stop",
    ends: "either",
    inject: ({ stack, random }) => {
      // Canceled while an insert waits, so that there is somebody to be told.
      const reached = Promise.withResolvers<void>();
      stack.warehouse.add({
        matches: ({ url }) => url.searchParams.has("insert_deduplication_token"),
        skip: random.below(4),
        act: async (call) => {
          reached.resolve();
          await sleep(1_200);
          call.reply(await call.forward());
        },
      });
      stack.crash.arm({ point: "worker-stopping", hit: 1, action: "kill" });
      let isFired = false;
      return {
        fired: () => {
          isFired ||= stack.crash.disarm();
          return isFired ? 1 : 0;
        },
        during: async (id, signal) => {
          signal.addEventListener("abort", () => reached.resolve(), { once: true });
          await reached.promise;
          if (!signal.aborted) await stack.workflows.cancelWorkflow({ id });
        },
      };
    },
  },
  {
    id: "W15",
    title: "the load thread dies in a batch",
    ends: "badly",
    codes: ["parse.decoder_crashed"],
    inject: ({ stack, random }) => {
      stack.crash.arm({ point: "thread-unit-read", hit: 1 + random.below(5), action: "exit" });
      let isFired = false;
      return {
        fired: () => {
          isFired ||= stack.crash.disarm();
          return isFired ? 1 : 0;
        },
      };
    },
  },
  zombie("Z3", "load-before-insert", "before insert k", 5),
  zombie("Z7", "worker-load-done", "the last batch is done"),
  zombie("Z8", "worker-intent-told", "the intent is on record"),
  zombie("Z9", "publish-claimed", "staging is claimed"),
  zombie("Z9b", "publish-before-change", "before the EXCHANGE or MOVE"),
  zombie("Z10", "publish-changed", "after the EXCHANGE or MOVE"),
  zombie("Z11", "worker-before-discard", "before the clean-up"),
];
