import { GroupRun_State as Run } from "@sluice/api/control/v1/group_run_pb";
import { expect, test } from "vitest";
import { isSettled, type MemberFacts, mustStop, runState } from "../src/groups/run-state.ts";

function member(
  workflowState: MemberFacts["workflowState"],
  more: Partial<MemberFacts> = {},
): MemberFacts {
  return {
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
  expect(runState(members, stopReason)).toBe(state);
});

test("a run is settled when nothing of it goes on, and stops for needed files alone", () => {
  expect(isSettled([done, failed, stopped, notStarted])).toBe(true);
  expect(isSettled([done, member("failing")])).toBe(false);
  expect(mustStop([missed, busy])).toBe(true);
  expect(mustStop([missing, failed, busy])).toBe(false);
});
