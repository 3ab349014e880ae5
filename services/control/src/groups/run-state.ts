import { GroupRun_State, GroupRunMember_State } from "@sluice/api/control/v1/group_run_pb";
import { isEnded, type WorkflowState } from "../workflow/state-machine.ts";

const Run = GroupRun_State;
const Member = GroupRunMember_State;

/** What decides how far a courier of a run is. */
export interface MemberFacts {
  /** The courier's, when the run began. */
  readonly name: string;
  /** Of its workflow; undefined when it could not be started. */
  readonly workflowState: WorkflowState | undefined;
  /** Whether its list waits for files that may still come. */
  readonly isWaitingForFiles: boolean;
  /** Whether its workflow's failure is a file that is not there. */
  readonly isMissingFiles: boolean;
  readonly stopWhenMissing: boolean;
}

export function memberState(member: MemberFacts): GroupRunMember_State {
  switch (member.workflowState) {
    case undefined:
      return Member.NOT_STARTED;
    case "succeeded":
    case "skipped":
      return Member.SUCCEEDED;
    case "stopped":
      return Member.STOPPED;
    case "failed":
    case "abandoned":
      return member.isMissingFiles ? Member.MISSING_FILES : Member.FAILED;
    default:
      return member.isWaitingForFiles ? Member.WAITING_FOR_FILES : Member.RUNNING;
  }
}

/** How far the couriers of a run are; `stopReason` is why it is being stopped, if it is. */
export function couriersState(
  members: readonly MemberFacts[],
  stopReason: "asked" | "missing" | null,
): GroupRun_State {
  const hasFailed = members.some(isFailure);
  if (!areCouriersSettled(members)) {
    if (stopReason !== null) return Run.STOPPING;
    return hasFailed ? Run.RUNNING_WITH_FAILURES : Run.RUNNING;
  }
  // The stop came too late for a run whose couriers all got through.
  const isStopped = members.some((member) => member.workflowState === "stopped");
  if (stopReason === "asked" && isStopped) return Run.STOPPED;
  if (hasFailed) return Run.FAILED;
  return isStopped ? Run.STOPPED : Run.SUCCEEDED;
}

/** Whether no courier of a run goes on. */
export function areCouriersSettled(members: readonly MemberFacts[]): boolean {
  return members.every(
    ({ workflowState }) => workflowState === undefined || isEnded(workflowState),
  );
}

/** Whether a courier of a run is missing files without which the run stops. */
export function mustStop(members: readonly MemberFacts[]): boolean {
  return members.some((member) => member.stopWhenMissing && isMissing(member));
}

function isFailure(member: MemberFacts): boolean {
  const state = memberState(member);
  if (state === Member.MISSING_FILES) return member.stopWhenMissing;
  return state === Member.FAILED || state === Member.NOT_STARTED;
}

function isMissing(member: MemberFacts): boolean {
  return memberState(member) === Member.MISSING_FILES;
}
