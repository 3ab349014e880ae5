import type { Leasing } from "./byte-budget.ts";
import type { MemorySeat } from "./worker-memory.ts";
import type { WorkingMemory } from "./working-memory.ts";

/** All that a task asks for memory through. */
export type TaskMemory = Leasing & WorkingMemory;

/** What is asked for at least beyond the floor: a window that grows must not ask at each step. */
const STEP_BYTES = 4 * 2 ** 20;

export interface TaskMemoryOptions {
  readonly signal: AbortSignal;
  /** What an error calls the limit: the setting and its value. */
  readonly limitName: string;
}

/** The memory of one task: adds up what its parts hold, and asks only when they outgrow what the task has. */
export function createTaskMemory(
  seat: Omit<MemorySeat, "leave">,
  { signal, limitName }: TaskMemoryOptions,
): TaskMemory {
  const { floorBytes, maxBytes } = seat;
  let held = 0;
  let granted = floorBytes;
  let asking = Promise.resolve();

  const settle = async (): Promise<void> => {
    if (held <= granted && (held > floorBytes || granted === floorBytes)) return;
    const steps = Math.ceil((held - floorBytes) / STEP_BYTES);
    granted = Math.max(floorBytes, Math.min(maxBytes, floorBytes + steps * STEP_BYTES));
    await seat.work(granted, signal);
  };

  return {
    get freeBytes() {
      return maxBytes - held;
    },
    get spareBytes() {
      return Math.max(0, floorBytes - held);
    },
    lease: async (bytes, leaseSignal = signal) => await seat.lease(bytes, leaseSignal),
    part(refuse) {
      let own = 0;
      return {
        async hold(bytes) {
          const all = held - own + bytes;
          if (all > maxBytes && bytes > own) {
            throw refuse(
              `it takes ${all} bytes of memory at one time; ${limitName} leaves ${maxBytes} to one task`,
            );
          }
          const isMore = bytes > own;
          held = all;
          own = bytes;
          if (held <= granted && (granted === floorBytes || held > floorBytes)) return;
          // One after the other: two parts may outgrow the floor at one time.
          const asked = asking.then(settle);
          asking = asked.catch(() => undefined);
          // Giving back is said where things end, also by an abort: it must not stand in for why they end.
          await (isMore ? asked : asking);
        },
      };
    },
  };
}
