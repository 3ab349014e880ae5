import type { Lease } from "@sluice/api/ingest/v1/task_pb";
import { sql } from "kysely";
import { asTenant } from "../tenant.ts";
import { inWorkflow, step } from "./change.ts";
import type { EngineContext, TaskRow } from "./context.ts";
import { secretsFailure } from "./failure.ts";
import { leaseFor } from "./lease-work.ts";
import { claimUnit } from "./load-unit.ts";
import { failAttempt } from "./task-outcome.ts";

interface Candidate {
  readonly id: string;
  readonly workflow_id: string;
  readonly kind: TaskRow["kind"];
}

interface Claimed {
  /** More than one where they are loaded together; the first one's lease is that of all. */
  readonly tasks: readonly TaskRow[];
  readonly expireTime: Date;
}

/** Claims that were made, so that another tenant comes first each time. */
let claims = 0;

/** Leases up to `capacity` tasks of all tenants to a worker, at once. Who has many tasks keeps nobody waiting for ever. */
export async function claimForAll(
  context: EngineContext,
  workerId: string,
  capacity: number,
): Promise<Lease[]> {
  const tenants = context.tenants();
  claims += 1;
  const first = claims % Math.max(1, tenants.length);
  const leases: Lease[] = [];
  for (const tenant of [...tenants.slice(first), ...tenants.slice(0, first)]) {
    const left = capacity - leases.length;
    if (left <= 0) break;
    leases.push(...(await asTenant(tenant, () => claimNow(context, workerId, left))));
  }
  return leases;
}

/** Leases up to `capacity` tasks to a worker, at once: none when none can be claimed now. */
async function claimNow(
  context: EngineContext,
  workerId: string,
  capacity: number,
): Promise<Lease[]> {
  const leases: Lease[] = [];
  for (const group of grouped(await candidates(context, capacity))) {
    for (const { tasks, expireTime } of await claimGroup(context, group, workerId)) {
      const lease = await openLease(context, tasks, expireTime);
      if (lease !== undefined) leases.push(lease);
    }
  }
  return leases;
}

/**
 * Waiting tasks in the order they are given out: what ends a workflow first, then lists, then loads,
 * the first object of every workflow before the second of any. Looks without locking: the claim
 * itself decides.
 */
async function candidates(context: EngineContext, capacity: number): Promise<Candidate[]> {
  const found = await sql<Candidate>`
    select task.id, task.workflow_id, task.kind
    from task join workflow on workflow.tenant = task.tenant and workflow.id = task.workflow_id
    where task.tenant = ${context.tenant()} and task.state = 'waiting'
      and (task.available_time is null or task.available_time <= clock_timestamp())
      -- What is loaded together is claimed with the first of them.
      and (task.unit is null or task.unit = task.number)
      and (task.kind = 'discard'
        or workflow.state in ('scheduled', 'running', 'finalizing')
        or (workflow.state in ('failing', 'stopping') and task.kind = 'publish'
          and task.attempt > task.attempt_floor))
      and (task.kind <> 'publish' or not exists (
        select from task as other
        where other.tenant = task.tenant and other.feed_id = task.feed_id and other.kind = 'publish'
          and other.attempt > other.attempt_floor and other.state in ('waiting', 'running') and other.id <> task.id))
      -- A query waits for the files that it reads.
      and (task.variant <> 'query' or not exists (
        select from task as file
        where file.tenant = task.tenant and file.workflow_id = task.workflow_id
          and file.feed_id = task.feed_id and file.variant = 'query_file'
          and file.state in ('waiting', 'running', 'failed')))
    order by array_position(array['publish', 'discard', 'list', 'load'], task.kind),
             task.number, workflow.number
    limit ${capacity}`.execute(context.kysely);
  return found.rows;
}

/**
 * Tasks of one workflow are claimed together. A publish is claimed alone: of two of the same feed the
 * second is refused by the index, and takes nothing else with it.
 */
function grouped(tasks: readonly Candidate[]): Candidate[][] {
  const groups: Candidate[][] = [];
  const byWorkflow = new Map<string, Candidate[]>();
  for (const task of tasks) {
    const group = task.kind === "publish" ? undefined : byWorkflow.get(task.workflow_id);
    if (group !== undefined) {
      group.push(task);
      continue;
    }
    const fresh = [task];
    groups.push(fresh);
    if (task.kind !== "publish") byWorkflow.set(task.workflow_id, fresh);
  }
  return groups;
}

async function claimGroup(
  context: EngineContext,
  group: readonly Candidate[],
  workerId: string,
): Promise<Claimed[]> {
  const [first] = group;
  if (first === undefined) return [];
  try {
    return await inWorkflow(context, first.workflow_id, async (change) => {
      const ids = group.map((candidate) => candidate.id);
      const tasks = await change.trx
        .selectFrom("task")
        .selectAll()
        .where("tenant", "=", change.tenant)
        .where(sql<boolean>`id = any(${ids}::text[])`)
        .where("state", "=", "waiting")
        .where((where) =>
          where.or([
            where("available_time", "is", null),
            where("available_time", "<=", sql<Date>`clock_timestamp()`),
          ]),
        )
        .orderBy("number")
        .execute();
      const claimed: string[] = [];
      for (const task of tasks) {
        if (task.unit !== null) {
          const unit = await claimUnit(context, change, task, workerId);
          claimed.push(...unit.map(({ id }) => id));
          continue;
        }
        const next = await step(context, change, task, { type: "claimed" }, { worker: workerId });
        if (!("refused" in next)) claimed.push(task.id);
      }
      if (claimed.length === 0) return [];
      const rows = await change.trx
        .selectFrom("task")
        .selectAll()
        .where("tenant", "=", change.tenant)
        .where(sql<boolean>`id = any(${claimed}::text[])`)
        .orderBy("number")
        .execute();
      return rows
        .filter(({ unit, number }) => unit === null || unit === number)
        .map((first) => ({
          tasks: rows.filter(
            ({ id, unit }) => id === first.id || (unit !== null && unit === first.unit),
          ),
          expireTime: first.lease_expire_time ?? new Date(),
        }));
    });
  } catch (error) {
    if (isPublishSlotTaken(error)) return [];
    throw error;
  }
}

/** Whether another publish of the feed was claimed between the look and the claim. */
function isPublishSlotTaken(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    error.code === "23505" &&
    "constraint" in error &&
    error.constraint === "task_publish_slot"
  );
}

/** What the worker needs. A credential that can't be opened fails the attempt, and nothing is leased. */
async function openLease(
  context: EngineContext,
  tasks: readonly TaskRow[],
  expireTime: Date,
): Promise<Lease | undefined> {
  const [task] = tasks;
  if (task === undefined) return undefined;
  try {
    return await leaseFor(context, tasks, expireTime);
  } catch (error) {
    const failure = secretsFailure(error);
    context.log.warn(
      { task: task.id, workflow: task.workflow_id, code: failure.code, err: error },
      "a claimed task could not be leased",
    );
    await failAttempt(context, { taskId: task.id, attempt: task.attempt, failure });
    return undefined;
  }
}
