import type { StageFailure } from "@sluice/api/control/v1/failure_pb";
import { Notification_Kind as Kind } from "@sluice/api/control/v1/notification_pb";
import type { Selectable } from "kysely";
import type { GroupRunMemberTable } from "../database/schema.ts";
import { failureLabel } from "../stage-failure.ts";
import type { Trx, WorkflowRow } from "../workflow/context.ts";
import { failureFromJson } from "../workflow/failure.ts";
import { isMissingFile } from "../workflow/file-wait.ts";
import { type Plan, planFromJson } from "../workflow/plan.ts";
import { type NewNotification, notify } from "./notify.ts";

/** The group's run that a workflow belongs to, as far as its ending needs it. */
interface Belonging {
  readonly groupId: string;
  readonly groupName: string;
  readonly isBeingStopped: boolean;
  readonly member: Selectable<GroupRunMemberTable> | undefined;
}

/** Tells of a workflow that has ended, in the transaction that ends it. */
export async function recordEnding(trx: Trx, tenant: string, workflowId: string): Promise<void> {
  const workflow = await trx
    .selectFrom("workflow")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", workflowId)
    .executeTakeFirstOrThrow();
  const run = await belonging(trx, workflow);
  const plan = planFromJson(workflow.plan);
  const told = await whatToTell(trx, workflow, plan, run);
  if (told === undefined) return;
  const { courier, feeds } = plan;
  await notify(trx, tenant, {
    ...told,
    workflowId,
    courierId: workflow.courier_id,
    courierName: courier.name,
    sources: [...new Set(feeds.map((feed) => feed.source))].sort(),
    ...(run === undefined
      ? {}
      : {
          groupRunId: workflow.group_run_id ?? "",
          groupId: run.groupId,
          groupName: run.groupName,
        }),
  });
}

async function whatToTell(
  trx: Trx,
  workflow: WorkflowRow,
  plan: Plan,
  run: Belonging | undefined,
): Promise<NewNotification | undefined> {
  const name = whatRan(plan);
  switch (workflow.state) {
    case "failed":
      return whatFailed(
        name,
        workflow.failure === null ? undefined : failureFromJson(workflow.failure),
        run,
      );
    case "stopped":
      // Whoever stops a whole run is told once, of the run.
      if (run?.isBeingStopped) return undefined;
      return { kind: Kind.STOPPED, message: `${name} was stopped by hand.` };
    case "skipped":
    case "succeeded": {
      const log = await trx
        .selectFrom("notification_log")
        .select("workflow_succeeded")
        .where("tenant", "=", workflow.tenant)
        .executeTakeFirst();
      if (log?.workflow_succeeded !== true) return undefined;
      if (plan.change !== undefined) {
        return { kind: Kind.WORKFLOW_SUCCEEDED, message: `${name} is done.` };
      }
      const rows = workflow.rows - workflow.rejected_rows;
      const rejected = workflow.rejected_rows > 0 ? `, ${workflow.rejected_rows} rejected` : "";
      return { kind: Kind.WORKFLOW_SUCCEEDED, message: `${name} loaded ${rows} rows${rejected}.` };
    }
    default:
      return undefined;
  }
}

/** What a workflow ran, for the beginning of a sentence. */
function whatRan({ courier, feeds, replayOf, change, comparison }: Plan): string {
  const tables = feeds.map((feed) => `${feed.source}.${feed.name}`).join(", ");
  if (change !== undefined) return `A change of domain table ${tables}`;
  if (comparison !== undefined) return `A trial load of feed ${tables}`;
  if (replayOf !== undefined) return `A replay of rejects of ${tables}`;
  return `Courier ${courier.name}`;
}

function whatFailed(
  name: string,
  failure: StageFailure | undefined,
  run: Belonging | undefined,
): NewNotification | undefined {
  if (failure === undefined) return { kind: Kind.WORKFLOW_FAILED, message: `${name} failed.` };
  const why = `${failureLabel(failure)} ${failure.message}`;
  if (run?.member === undefined || !isMissingFile(failure)) {
    return { kind: Kind.WORKFLOW_FAILED, message: `${name} failed: ${why}`, failure };
  }
  const { notify_when_missing: isWanted, stop_when_missing: stops } = run.member;
  if (!isWanted && !stops) return undefined;
  const then = stops
    ? `the run of group ${run.groupName} stops`
    : `group ${run.groupName} goes on without it`;
  return {
    kind: Kind.MISSING_FILE,
    message: `Files of ${name.replace("Courier", "courier")} are missing, and ${then}: ${why}`,
    failure,
  };
}

async function belonging(trx: Trx, workflow: WorkflowRow): Promise<Belonging | undefined> {
  if (workflow.group_run_id === null) return undefined;
  const run = await trx
    .selectFrom("group_run")
    .select(["group_id", "group_name", "stop_reason"])
    .where("tenant", "=", workflow.tenant)
    .where("id", "=", workflow.group_run_id)
    .executeTakeFirst();
  if (run === undefined) return undefined;
  const member = await trx
    .selectFrom("group_run_member")
    .selectAll()
    .where("tenant", "=", workflow.tenant)
    .where("run_id", "=", workflow.group_run_id)
    .where("workflow_id", "=", workflow.id)
    .executeTakeFirst();
  return {
    groupId: run.group_id,
    groupName: run.group_name,
    isBeingStopped: run.stop_reason !== null,
    member,
  };
}
