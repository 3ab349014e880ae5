import {
  GroupRun_State,
  GroupRunRefresh_State,
  GroupRunMember_State as Member,
} from "@sluice/api/control/v1/group_run_pb";
import type { WorkflowState } from "../workflow/state-machine.ts";
import { areCouriersSettled, couriersState, type MemberFacts, memberState } from "./run-state.ts";

const Run = GroupRun_State;
const Refresh = GroupRunRefresh_State;

/** What decides how far a custom domain table of a run is. */
export interface RefreshFacts {
  /** As a query names it: source.name. */
  readonly table: string;
  /** Of its workflow; undefined while it has none. */
  readonly workflowState: WorkflowState | undefined;
  /** Why it could not be started. */
  readonly problem: string | null;
}

/** What decides how far a run is. */
export interface RunFacts {
  /** None of a run that only refreshes. */
  readonly members: readonly MemberFacts[];
  /** None of a run that only runs couriers. */
  readonly refreshes: readonly RefreshFacts[];
  /** Why it is being stopped, if it is. */
  readonly stopReason: "asked" | "missing" | null;
}

/** How far a table is, and in words why it keeps its rows. */
export interface RefreshOutcome {
  readonly state: GroupRunRefresh_State;
  readonly problem: string;
}

/** How far a run is. */
export function runState(run: RunFacts): GroupRun_State {
  const couriers = couriersState(run.members, run.stopReason);
  if (couriers !== Run.SUCCEEDED) return couriers;
  const states = refreshOutcomes(run).map(({ state }) => state);
  if (states.some(isGoingOn)) return run.stopReason === null ? Run.RUNNING : Run.STOPPING;
  const isStopped = states.some((state) => state === Refresh.STOPPED || state === Refresh.SKIPPED);
  if (run.stopReason === "asked" && isStopped) return Run.STOPPED;
  if (states.some((state) => state === Refresh.FAILED || state === Refresh.NOT_STARTED)) {
    return Run.FAILED;
  }
  return isStopped ? Run.STOPPED : Run.SUCCEEDED;
}

/** Whether nothing of a run goes on, or has yet to begin. */
export function isSettled(run: RunFacts): boolean {
  return (
    areCouriersSettled(run.members) && !refreshOutcomes(run).some(({ state }) => isGoingOn(state))
  );
}

/** The table whose turn it is, by its place: the couriers have ended well, and so has every table before it. */
export function nextRefresh(run: RunFacts): number | undefined {
  if (!areCouriersSettled(run.members)) return undefined;
  const states = refreshOutcomes(run).map(({ state }) => state);
  const place = states.indexOf(Refresh.WAITING);
  return place < 0 || states.includes(Refresh.RUNNING) ? undefined : place;
}

/**
 * How far each table is, in order. That one is passed over follows from the couriers and the tables before it, and is
 * kept nowhere: when what failed is resumed and ends well after all, its turn comes.
 */
export function refreshOutcomes(run: RunFacts): readonly RefreshOutcome[] {
  let obstacle = obstacleOf(run);
  return run.refreshes.map((refresh) => {
    const outcome = outcomeOf(refresh, obstacle);
    // A later table may read this one.
    if (isBad(outcome.state)) obstacle ??= `${refresh.table} before it was not published`;
    return outcome;
  });
}

function outcomeOf(
  { workflowState, problem }: RefreshFacts,
  obstacle: string | undefined,
): RefreshOutcome {
  if (problem !== null) return { state: Refresh.NOT_STARTED, problem };
  if (workflowState !== undefined) return { state: stateOf(workflowState), problem: "" };
  if (obstacle !== undefined) return { state: Refresh.SKIPPED, problem: obstacle };
  return { state: Refresh.WAITING, problem: "" };
}

function stateOf(workflowState: WorkflowState): GroupRunRefresh_State {
  switch (workflowState) {
    case "succeeded":
    case "skipped":
      return Refresh.SUCCEEDED;
    case "stopped":
      return Refresh.STOPPED;
    case "failed":
    case "abandoned":
      return Refresh.FAILED;
    default:
      return Refresh.RUNNING;
  }
}

/** Why none of a run's tables is published any more; undefined as long as they may be. */
function obstacleOf({ members, stopReason }: RunFacts): string | undefined {
  if (areCouriersSettled(members)) {
    const [why] = members.flatMap((member) => whatWentWrong(member) ?? []);
    if (why !== undefined) return why;
  }
  if (stopReason === null) return undefined;
  return stopReason === "asked" ? "the run was stopped" : "the run stopped for files it lacks";
}

function whatWentWrong(member: MemberFacts): string | undefined {
  switch (memberState(member)) {
    case Member.FAILED:
      return `courier ${member.name} failed`;
    case Member.STOPPED:
      return `courier ${member.name} was stopped`;
    case Member.NOT_STARTED:
      return `courier ${member.name} could not be started`;
    case Member.MISSING_FILES:
      return member.stopWhenMissing ? `files of courier ${member.name} are missing` : undefined;
    default:
      return undefined;
  }
}

function isGoingOn(state: GroupRunRefresh_State): boolean {
  return state === Refresh.WAITING || state === Refresh.RUNNING;
}

function isBad(state: GroupRunRefresh_State): boolean {
  return state === Refresh.FAILED || state === Refresh.STOPPED || state === Refresh.NOT_STARTED;
}
