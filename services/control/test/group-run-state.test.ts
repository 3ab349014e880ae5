import {
  GroupRunRefresh_State as Refresh,
  GroupRun_State as Run,
} from "@sluice/api/control/v1/group_run_pb";
import { expect, test } from "vitest";
import {
  isSettled,
  nextRefresh,
  type RefreshFacts,
  type RunFacts,
  refreshOutcomes,
  runState,
} from "../src/groups/refresh-state.ts";
import {
  areCouriersSettled,
  couriersState,
  type MemberFacts,
  mustStop,
} from "../src/groups/run-state.ts";

function member(
  workflowState: MemberFacts["workflowState"],
  more: Partial<MemberFacts> = {},
): MemberFacts {
  return {
    name: "orders",
    workflowState,
    isWaitingForFiles: false,
    isMissingFiles: false,
    stopWhenMissing: false,
    ...more,
  };
}

const done = member("succeeded");
const busy = member("running");
const failed = member("failed");
const stopped = member("stopped");
const notStarted = member(undefined);
const missing = member("failed", { isMissingFiles: true });
const missed = member("failed", { isMissingFiles: true, stopWhenMissing: true });

test.each([
  ["runs while a courier does", [done, busy], null, Run.RUNNING],
  ["runs with failures once one has failed", [failed, busy], null, Run.RUNNING_WITH_FAILURES],
  [
    "runs with failures when one could not be started",
    [notStarted, busy],
    null,
    Run.RUNNING_WITH_FAILURES,
  ],
  ["runs on without files that may be missing", [missing, busy], null, Run.RUNNING],
  ["is stopping while couriers end, when it was asked to", [done, busy], "asked", Run.STOPPING],
  [
    "is stopping while couriers end, when files are missing",
    [missed, busy],
    "missing",
    Run.STOPPING,
  ],
  ["has succeeded when all have", [done, done], null, Run.SUCCEEDED],
  ["has succeeded without files that may be missing", [done, missing], null, Run.SUCCEEDED],
  ["has failed when one has", [done, failed], null, Run.FAILED],
  ["has failed when none could be started", [notStarted], null, Run.FAILED],
  ["has failed, not stopped, for the files it lacks", [missed, stopped], "missing", Run.FAILED],
  ["was stopped when it was asked to be", [failed, stopped], "asked", Run.STOPPED],
  ["was stopped when a courier of it was", [done, stopped], null, Run.STOPPED],
  ["has succeeded when the stop came too late", [done, done], "asked", Run.SUCCEEDED],
] as const)("a run %s", (_name, members, stopReason, state) => {
  expect(couriersState(members, stopReason)).toBe(state);
});

test("a run is settled when nothing of it goes on, and stops for needed files alone", () => {
  expect(areCouriersSettled([done, failed, stopped, notStarted])).toBe(true);
  expect(areCouriersSettled([done, member("failing")])).toBe(false);
  expect(mustStop([missed, busy])).toBe(true);
  expect(mustStop([missing, failed, busy])).toBe(false);
});

type State = RefreshFacts["workflowState"];

/** A run that refreshes web.a and web.b, with the states of their workflows. */
function refreshing(
  members: readonly MemberFacts[],
  [a, b]: readonly [State, State],
  more: Partial<RunFacts> = {},
): RunFacts {
  const refreshes = [
    { table: "web.a", workflowState: a, problem: null },
    { table: "web.b", workflowState: b, problem: null },
  ];
  return { members, refreshes, stopReason: null, ...more };
}

const { WAITING, RUNNING, SUCCEEDED, FAILED, STOPPED, SKIPPED } = Refresh;
const none = undefined;

test.each([
  [
    "waits for its couriers",
    refreshing([done, busy], [none, none]),
    [WAITING, WAITING],
    none,
    Run.RUNNING,
  ],
  [
    "begins with the first",
    refreshing([done, missing], [none, none]),
    [WAITING, WAITING],
    0,
    Run.RUNNING,
  ],
  [
    "has one at a time",
    refreshing([done], ["finalizing", none]),
    [RUNNING, WAITING],
    none,
    Run.RUNNING,
  ],
  [
    "goes on with the next",
    refreshing([done], ["succeeded", none]),
    [SUCCEEDED, WAITING],
    1,
    Run.RUNNING,
  ],
  [
    "ends with the last",
    refreshing([done], ["succeeded", "succeeded"]),
    [SUCCEEDED, SUCCEEDED],
    none,
    Run.SUCCEEDED,
  ],
  [
    "has none after a failed courier",
    refreshing([done, failed], [none, none]),
    [SKIPPED, SKIPPED],
    none,
    Run.FAILED,
  ],
  [
    "has none after a courier that was stopped",
    refreshing([done, stopped], [none, none]),
    [SKIPPED, SKIPPED],
    none,
    Run.STOPPED,
  ],
  [
    "has none without files it needs",
    refreshing([missed], [none, none]),
    [SKIPPED, SKIPPED],
    none,
    Run.FAILED,
  ],
  [
    "has no other after one that failed",
    refreshing([done], ["failed", none]),
    [FAILED, SKIPPED],
    none,
    Run.FAILED,
  ],
  [
    "has no other after one that was stopped",
    refreshing([done], ["stopped", none]),
    [STOPPED, SKIPPED],
    none,
    Run.STOPPED,
  ],
  [
    "begins at once without couriers",
    refreshing([], [none, none]),
    [WAITING, WAITING],
    0,
    Run.RUNNING,
  ],
  [
    "ends with the last without couriers",
    refreshing([], ["succeeded", "succeeded"]),
    [SUCCEEDED, SUCCEEDED],
    none,
    Run.SUCCEEDED,
  ],
  [
    "fails without couriers with a table that fails",
    refreshing([], ["succeeded", "failed"]),
    [SUCCEEDED, FAILED],
    none,
    Run.FAILED,
  ],
  [
    "is stopped without couriers",
    refreshing([], ["stopped", none], { stopReason: "asked" }),
    [STOPPED, SKIPPED],
    none,
    Run.STOPPED,
  ],
  [
    "begins none once it is stopped",
    refreshing([done], [none, none], { stopReason: "asked" }),
    [SKIPPED, SKIPPED],
    none,
    Run.STOPPED,
  ],
  [
    "stops while one ends",
    refreshing([done], ["stopping", none], { stopReason: "asked" }),
    [RUNNING, SKIPPED],
    none,
    Run.STOPPING,
  ],
  [
    "has succeeded when the stop came too late",
    refreshing([done], ["succeeded", "succeeded"], { stopReason: "asked" }),
    [SUCCEEDED, SUCCEEDED],
    none,
    Run.SUCCEEDED,
  ],
] as const)("a run with tables to refresh %s", (_name, run, states, next, state) => {
  expect(refreshOutcomes(run).map((each) => each.state)).toEqual(states);
  expect(nextRefresh(run)).toBe(next);
  expect(runState(run)).toBe(state);
  expect(isSettled(run)).toBe(![Run.RUNNING, Run.STOPPING].some((each) => each === state));
});

test("a table that is passed over says why, and its turn comes when the cause is gone", () => {
  const why = (run: RunFacts): string[] => refreshOutcomes(run).map(({ problem }) => problem);
  const all = "courier orders failed";
  expect(why(refreshing([failed], [none, none]))).toEqual([all, all]);
  expect(why(refreshing([done], ["failed", none]))).toEqual([
    "",
    "web.a before it was not published",
  ]);
  expect(why(refreshing([notStarted], [none, none]))[0]).toBe(
    "courier orders could not be started",
  );
  expect(nextRefresh(refreshing([failed], [none, none]))).toBeUndefined();
  expect(nextRefresh(refreshing([done], [none, none]))).toBe(0);
});
