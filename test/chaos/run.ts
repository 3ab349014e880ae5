import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { Task_State, type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { DAY } from "../e2e/story.ts";
import { makeRows, type Row, toFile } from "./data.ts";
import type { Fault, Injected, Invariant } from "./fault.ts";
import { afterLoad, DATABASE, type Lane } from "./lanes.ts";
import { type Poller, startPoller } from "./poller.ts";
import { createRandom } from "./random.ts";
import { LEASE_MS, type Stack } from "./stack.ts";
import { compare, countLineage, digestOfTable, digestOfTruth, writeTruth } from "./truth.ts";

export interface Violation {
  readonly invariant: Invariant;
  readonly detail: string;
}

export interface RunResult {
  readonly seed: string;
  readonly fault: string;
  readonly operation: string;
  readonly format: string;
  readonly verdict: "PASS" | "VIOLATION" | "UNVERIFIED";
  readonly violations: readonly Violation[];
  /** How often the fault happened. */
  readonly fired: number;
  /** How the workflow ended: a state, or a state and a code. */
  readonly end: string;
  readonly attempts: number;
  readonly looks: number;
  readonly ms: number;
}

/**
 * From the last fault on, this long until a workflow has ended: lease, retries. The time in which dead processes are
 * started counts for nothing: it is the machine's, and of a busy one many seconds.
 */
const LIVENESS_MS = 45_000;
const ORPHANS_MS = 20_000;
/** Who calls a control that has died must not wait for it, but have it started again. */
const SOON = { timeoutMs: 5_000 };
const FINAL: ReadonlySet<Workflow_State> = new Set([
  Workflow_State.SUCCEEDED,
  Workflow_State.FAILED,
  Workflow_State.STOPPED,
  Workflow_State.SKIPPED,
]);
/** What calling again does not change: who repeats such a call waits for nothing. */
const FOR_GOOD: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.Unimplemented,
  Code.Unauthenticated,
]);
/** What our own code says where it does not know what happened. */
const CATCH_ALLS = ["the worker could not go on with this task", "the file could not be read"];

/** One run: a file that the seed makes, a fault, and every invariant looked at. */
export async function run(
  stack: Stack,
  fault: Fault,
  lane: Lane,
  seed: string,
): Promise<RunResult> {
  const begun = performance.now();
  const random = createRandom(seed);
  const count = 2_000 + random.below(1_200);
  // Upserts meet half of the ids that are there.
  const firstId = lane.operation === "upsert" ? 1 + lane.runs * 2_500 : 1;
  const rows = makeRows(random, count, firstId, 5_000);
  const file = await toFile(lane.format, rows, stack.keys);
  const shifted = rows.map((row): Row => ({ ...row, name: mirrored(row.name) }));
  const other = await toFile(lane.format, shifted, stack.keys);
  const key = `${lane.key}${DAY.replaceAll("-", "")}-${++lane.runs}-${seed}`;
  await stack.customer.put(key, file);
  const wanted = afterLoad(lane, rows);
  const [before, after] = [`${key}:before`, `${key}:after`];
  await writeTruth(stack, before, lane.rows);
  await writeTruth(stack, after, wanted);

  const violations: Violation[] = [];
  const violated = (invariant: Invariant, detail: string): void => {
    violations.push({ invariant, detail });
  };
  let injected: Injected | undefined;
  let poller: Poller | undefined;
  let workflow: Workflow | undefined;
  let unverified = "";
  let fired = 0;
  try {
    await prepareTable(stack, lane);
    injected = await fault.inject({ stack, random, lane, key, file, rows, other });
    poller = startPoller(stack, lane.table);
    workflow = await play(stack, lane, injected, key);
    fired = await injected.fired();
    await settle(stack, injected);
    injected = undefined;
    if (workflow === undefined) {
      violated("I13", `no end within ${LIVENESS_MS} ms`);
    } else {
      const truth = { before, after, rows: rows.length };
      await judgeEnd({ stack, fault, lane, violated }, workflow, truth);
      const seen = await poller.stop();
      await judgeSeen({ stack, fault, lane, violated }, seen, truth, workflow.state);
      await judgeOrphans({ stack, fault, lane, violated }, workflow);
      if (workflow.state === Workflow_State.SUCCEEDED) lane.rows = wanted;
    }
  } catch (error) {
    unverified = error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    if (injected !== undefined) {
      fired = await injected.fired();
      await settle(stack, injected).catch((error: unknown) => {
        unverified += `; ${error}`;
      });
    }
    await poller?.stop();
    await stack.remove(key);
  }
  return {
    seed,
    fault: fault.id,
    operation: lane.operation,
    format: lane.format,
    verdict: violations.length > 0 ? "VIOLATION" : unverified === "" ? "PASS" : "UNVERIFIED",
    violations,
    fired,
    end: unverified === "" ? endInWords(workflow) : unverified,
    attempts: workflow?.tasks.reduce((sum, { attempts }) => sum + attempts.length, 0) ?? 0,
    looks: poller?.looks ?? 0,
    ms: Math.round(performance.now() - begun),
  };
}

const mirrored = (text: string): string =>
  text.replace(/\d+$/, (digits) => [...digits].map((digit) => 9 - Number(digit)).join(""));

/** Merges would take duplicates away before they are counted. */
async function prepareTable(stack: Stack, { table }: Lane): Promise<void> {
  const [database, name] = table.split(".");
  const there = await stack.rows(
    `SELECT 1 FROM system.tables WHERE database = '${database}' AND name = '${name}__rows'`,
  );
  if (there.length > 0) {
    await stack.clickhouse.command({ query: `SYSTEM STOP MERGES ${table}__rows` });
  }
}

/**
 * Runs the courier to its end, as somebody who calls again when nobody answers. Undefined when it has none in time.
 * The request id is of this run alone: a second run with it would be refused, or be given the first one's workflow.
 */
async function play(
  stack: Stack,
  lane: Lane,
  injected: Injected,
  requestId: string,
): Promise<Workflow | undefined> {
  let deadline = performance.now() + LIVENESS_MS;
  const over = new AbortController();
  let during: Promise<void> | undefined;
  let id = "";
  try {
    while (performance.now() < deadline) {
      const stopped = performance.now();
      await stack.supervise();
      deadline += performance.now() - stopped;
      try {
        if (id === "") {
          const scope = { case: "date", value: DAY } as const;
          const { courierId } = lane;
          id = (await stack.couriers.runCourier({ id: courierId, scope, requestId }, SOON))
            .workflowId;
          during = injected.during?.(id, over.signal);
          during?.catch(() => undefined);
        }
        const { workflow } = await stack.workflows.getWorkflow({ id }, SOON);
        if (workflow !== undefined && FINAL.has(workflow.state)) return workflow;
      } catch (error) {
        // Control is away; it comes back by the next look.
        if (FOR_GOOD.has(ConnectError.from(error).code) || performance.now() > deadline)
          throw error;
      }
      await sleep(40);
    }
    return undefined;
  } finally {
    over.abort();
    await during;
  }
}

async function settle(stack: Stack, injected: Injected): Promise<void> {
  stack.s3.clear();
  stack.warehouse.clear();
  stack.crash.disarm();
  await injected.lift?.();
  await stack.supervise();
}

interface Judge {
  readonly stack: Stack;
  readonly fault: Fault;
  readonly lane: Lane;
  readonly violated: (invariant: Invariant, detail: string) => void;
}

interface Truth {
  readonly before: string;
  readonly after: string;
  readonly rows: number;
}

function nameIn(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}

export function codeOf({ failure }: Workflow): string {
  return failure === undefined
    ? ""
    : `${nameIn(Stage, failure.stage).toLowerCase()}.${failure.code}`;
}

function endInWords(workflow: Workflow | undefined): string {
  if (workflow === undefined) return "no end";
  return [nameIn(Workflow_State, workflow.state), codeOf(workflow)].filter(Boolean).join(" ");
}

async function judgeEnd(
  { stack, fault, lane, violated }: Judge,
  workflow: Workflow,
  truth: Truth,
): Promise<void> {
  const code = codeOf(workflow);
  const isWell = workflow.state === Workflow_State.SUCCEEDED;
  if (isWell) {
    const { lost, extra, changed } = await compare(stack, lane.table, truth.after);
    if (lost > 0) violated("I1", `${lost} rows are lost`);
    if (extra > 0) violated("I2", `${extra} rows too many`);
    if (changed > 0)
      violated(fault.ends === "badly" ? "I6" : "I3", `${changed} rows are other ones`);
    const counted = await countLineage(stack, lane.table, workflow.id);
    if (counted.rows !== counted.places) {
      violated("I2", `${counted.rows} rows of ${counted.places} places in the file`);
    }
    const told = Number(workflow.totals?.rows ?? 0);
    if (told !== truth.rows) violated("I7", `${told} rows told, ${truth.rows} in the file`);
    if (fault.ends === "badly") violated("I6", "a run succeeded that must not");
  } else {
    const { lost, extra, changed } = await compare(stack, lane.table, truth.before);
    const isUnverified = fault.breaks === "I6" || fault.ends === "badly";
    if (lost + extra + changed > 0) {
      const detail = `${nameIn(Workflow_State, workflow.state)}: ${lost} lost, ${extra} extra, ${changed} changed`;
      violated(isUnverified && extra + changed > 0 ? "I6" : "I5", detail);
    }
    if (workflow.state === Workflow_State.FAILED) {
      if (fault.ends === "well") violated("I13", `failed for good with ${code}`);
      if (fault.codes !== undefined && !fault.codes.includes(code)) {
        violated("I8", `failed with ${code}, not with ${fault.codes.join(" or ")}`);
      }
    }
  }
  for (const { attempts } of workflow.tasks) {
    for (const { failure } of attempts) {
      if (failure === undefined) continue;
      const isUntyped = failure.code === "" || CATCH_ALLS.includes(failure.message);
      if (isUntyped) violated("I8", `${failure.code}: ${failure.message}`);
    }
  }
}

/** Readers see the old rows, then the new ones, and never anything else. */
async function judgeSeen(
  { stack, lane, violated }: Judge,
  seen: readonly string[],
  truth: Truth,
  state: Workflow_State,
): Promise<void> {
  const before = await digestOfTruth(stack, truth.before);
  const after = await digestOfTruth(stack, truth.after);
  let isNew = false;
  for (const digest of seen) {
    // Before its first load a feed has no table.
    if (digest === "missing" && lane.rows.length === 0 && !isNew) continue;
    if (digest === after) isNew = true;
    else if (digest !== before)
      violated("I4", `a reader saw ${digest}: not ${before}, not ${after}`);
    else if (isNew) violated("I4", "a reader saw the old rows after the new ones");
  }
  const last = await digestOfTable(stack, lane.table).catch(() => "missing");
  if (state === Workflow_State.SUCCEEDED && last !== after) {
    violated(
      "I7",
      last === before ? "succeeded, and the rows are the old ones" : "succeeded wrongly",
    );
  }
}

/** Once everything has recovered, nothing is left but the domain tables. */
async function judgeOrphans({ stack, violated }: Judge, workflow: Workflow): Promise<void> {
  const { id } = workflow;
  if (workflow.resumableUntil !== undefined) await stack.workflows.cancelWorkflow({ id });
  const deadline = performance.now() + ORPHANS_MS;
  for (;;) {
    await stack.supervise();
    const left = await orphans(stack, id);
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      for (const orphan of left) violated("I9", orphan);
      return;
    }
    await sleep(left.some((orphan) => orphan.startsWith("spool")) ? LEASE_MS / 10 : 60);
  }
}

async function orphans(stack: Stack, id: string): Promise<string[]> {
  const tables = await stack.rows<{ name: string }>(
    `SELECT name FROM system.tables WHERE database = '${DATABASE}' AND position(name, '_${id}') > 0 AND name NOT LIKE '%\\_\\_kept\\_%'`,
  );
  const { workflow } = await stack.workflows.getWorkflow({ id });
  const live: readonly Task_State[] = [Task_State.WAITING, Task_State.RUNNING];
  return [
    ...tables.map(({ name }) => `table ${name}`),
    ...stack.spools().map((name) => `spool ${name}`),
    ...(workflow?.tasks ?? [])
      .filter(({ state }) => live.includes(state))
      .map(({ kind, state }) => `task of kind ${kind} in state ${state}`),
  ];
}
