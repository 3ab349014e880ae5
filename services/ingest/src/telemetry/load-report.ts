import { StageError } from "@sluice/errors";
import type { Warehouse } from "@sluice/load";
import type { StageClock, StageReport } from "@sluice/streams";

/** One request with rows, as ClickHouse answered it. */
export interface InsertReport {
  /** Milliseconds since 1970. */
  readonly startTime: number;
  readonly elapsedMs: number;
  readonly bytes: number;
  /** "ok", or the stage and code of the error. */
  readonly outcome: string;
}

/** What a load thread tells of a load beside its state: how much passed so far, and the inserts since the last report. */
export interface LoadReport {
  /** Since the load began. */
  readonly time: StageReport | undefined;
  readonly inserts: readonly InsertReport[];
}

const INTERVAL_MS = 1_000;
/** Inserts of one report: a second has no more worth a look. */
const MOST_INSERTS = 1_000;

/** Watches one load in its thread, and tells of it once a second and at its end. */
export function reportLoad(
  warehouse: Warehouse,
  clock: StageClock,
  tell: (report: LoadReport) => void,
): { readonly warehouse: Warehouse; [Symbol.dispose](): void } {
  let inserts: InsertReport[] = [];
  const report = (): void => {
    tell({ time: clock.report(), inserts });
    inserts = [];
  };
  const timer = setInterval(report, INTERVAL_MS);
  return {
    warehouse: {
      ...warehouse,
      async insert(request) {
        const startTime = Date.now();
        const began = performance.now();
        let outcome = "ok";
        try {
          return await warehouse.insert(request);
        } catch (error) {
          outcome = error instanceof StageError ? `${error.stage}/${error.code}` : "unknown";
          throw error;
        } finally {
          const elapsedMs = performance.now() - began;
          if (inserts.length < MOST_INSERTS) {
            inserts.push({ startTime, elapsedMs, bytes: request.byteLength, outcome });
          }
        }
      },
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      report();
    },
  };
}
