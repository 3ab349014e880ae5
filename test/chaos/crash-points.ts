import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The harness's side of packages/errors/src/crash-point.ts. */
export interface CrashPoints {
  /** One process dies, stands still, or loses a thread at its `hit`th visit of the point. */
  arm(order: {
    readonly point: string;
    readonly hit: number;
    readonly action: "kill" | "stop" | "exit";
  }): void;
  /** Whether the order was carried out; it is forgotten then. */
  disarm(): boolean;
  /** Whether the order was carried out. */
  isTaken(): boolean;
  /** How often each point was visited since the stack began. */
  visits(): ReadonlyMap<string, number>;
}

export function createCrashPoints(folder: string): CrashPoints {
  let orders = 0;
  let isArmed = false;
  const armed = join(folder, "armed");
  writeFileSync(join(folder, "hits"), "");
  return {
    arm(order) {
      isArmed = true;
      writeFileSync(armed, JSON.stringify({ ...order, id: String(++orders) }));
    },
    isTaken: () => isArmed && !existsSync(armed),
    disarm() {
      const isTaken = isArmed && !existsSync(armed);
      isArmed = false;
      rmSync(armed, { force: true });
      return isTaken;
    },
    visits() {
      const visits = new Map<string, number>();
      for (const point of readFileSync(join(folder, "hits"), "utf8").split("\n")) {
        if (point !== "") visits.set(point, (visits.get(point) ?? 0) + 1);
      }
      return visits;
    },
  };
}
