import { atMost, spreadOf } from "../result.ts";
import { runOurs } from "../run-case.ts";
import { withCsvCourier } from "./csv-courier.ts";
import type { Latency } from "./index.ts";

const MAX_MS = 200;

/** From the call of a run to its end, when every file was loaded before and none has changed. */
export const NOTHING_NEW: Latency = {
  name: "nothing-new",
  async measure(stack, { rounds, scale, tell }) {
    return await withCsvCourier(stack, "nothing-new", scale, async (prepared) => {
      const found: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const { seconds } = await runOurs(stack, prepared, { reloadUnchanged: false });
        tell(`nothing-new: ${(seconds * 1000).toFixed(0)} ms`);
        found.push(seconds * 1000);
      }
      const ms = spreadOf(found);
      return {
        kind: "latency",
        case: "nothing-new",
        data: "a run that finds nothing new, from the call to its end",
        ms: { run: ms },
        refused: {},
        checks: [atMost("ms of a run that finds nothing new", ms.median, MAX_MS)],
      };
    });
  },
};
