import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { Task_Kind, Task_State } from "@sluice/api/control/v1/workflow_pb";
import type { ChildService } from "@sluice/local";
import type { Fault, Injected, Scene } from "./fault.ts";
import type { Call } from "./scripted-proxy.ts";
import { LEASE_MS } from "./stack.ts";
import { isChange, isInsert } from "./warehouse-faults.ts";

/** Processes that die, stand still, or are told to go. */

/** The worker that holds a task of the workflow, once there is one. */
async function holder(
  { stack }: Scene,
  id: string,
  signal: AbortSignal,
): Promise<ChildService | undefined> {
  while (!signal.aborted) {
    const { workflow } = await stack.workflows
      .getWorkflow({ id })
      .catch(() => ({ workflow: undefined }));
    const running = workflow?.tasks.find(({ state }) => state === Task_State.RUNNING);
    const name = running?.attempts.at(-1)?.worker ?? "";
    const found = stack.workers.find(({ pid }) => name.includes(`-${pid}-`));
    if (found !== undefined) return found;
    await sleep(10);
  }
  return undefined;
}

/** Something happens to whoever works on the task, at a moment of the seed. */
const atAnyTime = (
  id: string,
  title: string,
  act: (worker: ChildService, scene: Scene) => Promise<void>,
): Fault => ({
  id,
  title,
  ends: "well",
  inject: (scene) => {
    let fired = 0;
    const delay = scene.random.below(350);
    return {
      fired: () => fired,
      during: async (workflowId, signal) => {
        await sleep(delay);
        const worker = await holder(scene, workflowId, signal);
        if (worker === undefined) return;
        fired++;
        await act(worker, scene);
      },
    };
  },
});

const standStill = async ({ pid }: ChildService): Promise<void> => {
  process.kill(pid, "SIGSTOP");
  await sleep(LEASE_MS * 1.5);
  process.kill(pid, "SIGCONT");
};

/** Something happens to a process in the body of an insert, or between its commit and its answer. */
export const atInsert = (given: {
  readonly id: string;
  readonly title: string;
  readonly isCommitted: boolean;
  /** Batches that pass first. Default: up to four. */
  readonly skip?: number;
  readonly urlOf?: (call: Call) => URL;
  readonly act: (scene: Scene, workflowId: string, signal: AbortSignal) => Promise<void>;
}): Fault => ({
  id: given.id,
  title: given.title,
  ends: "well",
  inject: (scene) => {
    const reached = Promise.withResolvers<void>();
    const over = Promise.withResolvers<void>();
    const fired = scene.stack.warehouse.add({
      matches: isInsert,
      skip: given.skip ?? scene.random.below(5),
      act: async (call) => {
        const url = given.urlOf?.(call);
        if (given.isCommitted) await call.forward(url === undefined ? {} : { url });
        else await call.forwardPart(Math.floor(call.body.byteLength / 2));
        reached.resolve();
        await over.promise;
        call.reset();
      },
    });
    return {
      fired,
      during: async (workflowId, signal) => {
        signal.addEventListener("abort", () => reached.resolve(), { once: true });
        await reached.promise;
        if (!signal.aborted) await given.act(scene, workflowId, signal);
        over.resolve();
      },
      lift: async () => over.resolve(),
    };
  },
});

export const killHolder = async (scene: Scene, id: string, signal: AbortSignal): Promise<void> =>
  await (await holder(scene, id, signal))?.kill();

/** The statement that makes rows visible is on its way when its worker dies, and arrives when another has made them visible. */
export function lateChange(scene: Scene): Injected {
  const [reached, ended, arrived] = [0, 0, 0].map(() => Promise.withResolvers<void>()) as [
    PromiseWithResolvers<void>,
    PromiseWithResolvers<void>,
    PromiseWithResolvers<void>,
  ];
  let late = 0;
  scene.stack.warehouse.add({
    matches: isChange,
    act: async (call) => {
      reached.resolve();
      await ended.promise;
      try {
        await call.forward();
        late++;
      } finally {
        arrived.resolve();
      }
    },
  });
  return {
    fired: () => late,
    during: async (workflowId, signal) => {
      signal.addEventListener("abort", () => reached.resolve(), { once: true });
      await reached.promise;
      if (signal.aborted) return ended.resolve();
      await killHolder(scene, workflowId, signal);
      while (!signal.aborted) await sleep(20);
      ended.resolve();
      await arrived.promise;
      // Readers have to have the time to look.
      await sleep(300);
    },
    lift: async () => ended.resolve(),
  };
}

const mount = (...given: string[]): boolean => {
  try {
    execFileSync("mount", given, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

export const PROCESS_FAULTS: readonly Fault[] = [
  {
    id: "none",
    title: "no fault",
    ends: "well",
    inject: () => ({ fired: () => 1 }),
  },
  atAnyTime("PR-01", "SIGKILL of the worker at any time", async (worker) => await worker.kill()),
  atAnyTime("PR-02", "SIGTERM of the worker at any time", async (worker) => await worker.stop()),
  atAnyTime("PR-05", "the worker stands still for longer than its lease", standStill),
  atAnyTime(
    "PR-07",
    "SIGKILL of control at any time",
    async (_, { stack }) => await stack.control.kill(),
  ),
  atAnyTime(
    "PR-08",
    "SIGTERM of control at any time",
    async (_, { stack }) => await stack.control.stop(),
  ),
  {
    id: "PR-06",
    title: "the workflow is canceled at any time",
    ends: "either",
    inject: ({ stack, random }) => {
      let fired = 0;
      return {
        fired: () => fired,
        during: async (id) => {
          await sleep(random.below(500));
          const canceled = stack.workflows.cancelWorkflow({ id });
          await canceled.then(
            () => fired++,
            () => undefined,
          );
        },
      };
    },
  },
  {
    id: "PR-04",
    title: "the disk of the spool folder is full",
    formats: ["zip.pgp"],
    ends: "badly",
    codes: ["decompress.disk_unavailable"],
    unavailable: () => {
      const canMount = mount("-t", "tmpfs", "-o", "size=4k", "tmpfs", "/mnt");
      if (canMount) execFileSync("umount", ["/mnt"]);
      return canMount ? undefined : "no tmpfs can be mounted here";
    },
    inject: ({ stack }) => {
      const { spoolDir } = stack;
      mount("-t", "tmpfs", "-o", "size=16k", "tmpfs", spoolDir);
      let fired = 0;
      return {
        fired: () => fired,
        during: async (id, signal) => {
          while (!signal.aborted) {
            const { workflow } = await stack.workflows.getWorkflow({ id });
            const loads =
              workflow?.tasks.filter(({ kind }) => kind === Task_Kind.LOAD_OBJECT) ?? [];
            fired = loads.some(({ attempts }) => attempts.some(({ failure }) => failure)) ? 1 : 0;
            await sleep(50);
          }
        },
        lift: async () => void execFileSync("umount", ["-l", spoolDir]),
      };
    },
  },
  atInsert({
    id: "W4",
    title: "SIGKILL of the worker in the body of insert k",
    isCommitted: false,
    act: killHolder,
  }),
  atInsert({
    id: "W5",
    title: "SIGKILL of the worker between the commit of insert k and its answer",
    isCommitted: true,
    act: killHolder,
  }),
  atInsert({
    id: "W5s",
    title: "a zombie: between the commit of insert k and its answer",
    isCommitted: true,
    act: async (scene, id, signal) => {
      const worker = await holder(scene, id, signal);
      if (worker !== undefined) await standStill(worker);
    },
  }),
  {
    id: "W9L",
    title: "EXCHANGE or MOVE arrives late, its worker is dead and another has gone on",
    ends: "well",
    inject: lateChange,
  },
  atInsert({
    id: "PR-09",
    title: "ClickHouse and the worker die together in an insert",
    isCommitted: true,
    act: async (scene, id, signal) => {
      scene.stack.server.kill();
      await killHolder(scene, id, signal);
    },
  }),
];
