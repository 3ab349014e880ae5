import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { CourierSchema } from "@sluice/api/control/v1/courier_pb";
import {
  type PublishCustomDomainTableRequest,
  PublishCustomDomainTableRequestSchema,
} from "@sluice/api/control/v1/custom_domain_table_service_pb";
import {
  type DeleteRowsRequest,
  DeleteRowsRequestSchema,
  type PurgeDomainTableRequest,
  PurgeDomainTableRequestSchema,
  type TruncateDomainTableRequest,
  TruncateDomainTableRequestSchema,
  type UndoLoadRequest,
  UndoLoadRequestSchema,
} from "@sluice/api/control/v1/domain_table_service_pb";
import {
  CustomTableChangeSchema,
  type TableChange,
  TableChangeSchema,
} from "@sluice/api/ingest/v1/table_change_pb";
import type { FeedVersion } from "@sluice/api/ingest/v1/task_pb";
import { findMade } from "../resources/request-id.ts";
import { refuseField } from "../server/field-violations.ts";
import {
  readableTables,
  readCustomTableRow,
  toCustomTable,
  toFeedVersion,
} from "../tables/custom-table-rows.ts";
import type { Tenant } from "../tenant.ts";
import { activeVersion, beginOnce, type NewWorkflow } from "./begin-workflow.ts";
import type { EngineContext, Trx } from "./context.ts";
import { nextDay } from "./days.ts";
import { openDeletePlan } from "./delete-plan.ts";
import { newestChange, undoRefusal } from "./load-records.ts";

type Begun = Promise<{ readonly workflowId: string }>;

/**
 * Starts a workflow of one publish that changes a domain table. It takes its turn with the loads of the same feed: one
 * publish of a feed at a time, whatever it does.
 */
export function changeWorkflow(feed: FeedVersion, change: TableChange["change"]): NewWorkflow {
  const startDate = new Date().toISOString().slice(0, 10);
  return {
    days: { startDate, endDate: nextDay(startDate) },
    options: {},
    plan: {
      courier: create(CourierSchema, {}),
      feeds: [feed],
      change: create(TableChangeSchema, { change }),
    },
  };
}

/** DomainTableService.UndoLoad. */
export async function undoLoad(context: EngineContext, request: UndoLoadRequest): Begun {
  const { feedId, workflowId: undone } = request;
  const call = {
    method: "UndoLoad",
    requestId: request.requestId,
    body: toBinary(UndoLoadRequestSchema, { ...request, requestId: "" }),
  };
  const workflowId = await beginOnce(context, call, async (trx, tenant) => {
    const feed = await activeVersion(trx, tenant, feedId);
    const record = await trx
      .selectFrom("load_record")
      .selectAll()
      .where("tenant", "=", tenant)
      .where("feed_id", "=", feedId)
      .where("workflow_id", "=", undone)
      .executeTakeFirst();
    if (record === undefined) {
      throw new ConnectError(
        `workflow ${undone} published nothing into ${feed.source}.${feed.name}`,
        Code.NotFound,
      );
    }
    const refusal = undoRefusal(record, await newestChange(trx, tenant, feedId));
    if (refusal !== "") throw new ConnectError(refusal, Code.FailedPrecondition);
    const restoresReplacedTable = record.kept;
    return changeWorkflow(feed, {
      case: "undo",
      value: {
        $typeName: "sluice.ingest.v1.UndoChange",
        workflowId: undone,
        restoresReplacedTable,
      },
    });
  });
  return { workflowId };
}

/** DomainTableService.DeleteRows. */
export async function deleteRows(context: EngineContext, request: DeleteRowsRequest): Begun {
  const call = {
    method: "DeleteRows",
    requestId: request.requestId,
    body: toBinary(DeleteRowsRequestSchema, { ...request, requestId: "" }),
  };
  const made = await findMade(context.requests, call);
  if (made !== undefined) return { workflowId: made };
  const plan = openDeletePlan(context.requests.secrets, request.planToken);
  if (plan?.feedId !== request.feedId) {
    refuseField(
      DeleteRowsRequestSchema,
      "plan_token",
      "plan_token",
      "not a token of PlanDeleteRows for this feed",
    );
  }
  const workflowId = await beginOnce(context, call, async (trx, tenant) => {
    const feed = await activeVersion(trx, tenant, request.feedId);
    await assertUnchanged(trx, tenant, request.feedId, plan.newestChange);
    return changeWorkflow(feed, { case: "deleteRows", value: plan.change });
  });
  return { workflowId };
}

/** Early, and by what is on record; the worker looks at the rows themselves when its turn has come. */
async function assertUnchanged(
  trx: Trx,
  tenant: string,
  feedId: string,
  planned: number,
): Promise<void> {
  const newest = await newestChange(trx, tenant, feedId);
  if ((newest?.number ?? 0) === planned) return;
  throw new ConnectError(
    "the domain table has changed since the rows were counted: plan anew",
    Code.FailedPrecondition,
  );
}

/** DomainTableService.TruncateDomainTable. */
export async function truncateDomainTable(
  context: EngineContext,
  request: TruncateDomainTableRequest,
): Begun {
  const call = {
    method: "TruncateDomainTable",
    requestId: request.requestId,
    body: toBinary(TruncateDomainTableRequestSchema, { ...request, requestId: "" }),
  };
  const workflowId = await beginOnce(context, call, async (trx, tenant) =>
    changeWorkflow(await activeVersion(trx, tenant, request.feedId), {
      case: "truncate",
      value: { $typeName: "sluice.ingest.v1.TruncateChange" },
    }),
  );
  return { workflowId };
}

/** CustomDomainTableService.PublishCustomDomainTable. */
export async function publishCustomTable(
  context: EngineContext,
  request: PublishCustomDomainTableRequest,
): Begun {
  const call = {
    method: "PublishCustomDomainTable",
    requestId: request.requestId,
    body: toBinary(PublishCustomDomainTableRequestSchema, { ...request, requestId: "" }),
  };
  const workflowId = await beginOnce(context, call, (trx, tenant) =>
    customTableWorkflow(trx, tenant, request.id),
  );
  return { workflowId };
}

/** What publishes a custom domain table, with its query as it is now; NOT_FOUND when there is none of this id. */
export async function customTableWorkflow(
  trx: Trx,
  tenant: Tenant,
  tableId: string,
): Promise<NewWorkflow> {
  const table = toCustomTable(await readCustomTableRow(trx, tenant, tableId));
  const { id, query } = table;
  const value = create(CustomTableChangeSchema, {
    query,
    readableTables: await readableTables(trx, tenant, id),
  });
  return changeWorkflow(toFeedVersion(table), { case: "customTable", value });
}

/** DomainTableService.PurgeDomainTable. */
export async function purgeDomainTable(
  context: EngineContext,
  request: PurgeDomainTableRequest,
): Begun {
  const call = {
    method: "PurgeDomainTable",
    requestId: request.requestId,
    body: toBinary(PurgeDomainTableRequestSchema, { ...request, requestId: "" }),
  };
  const workflowId = await beginOnce(context, call, async (trx, tenant) => {
    const feed = await activeVersion(trx, tenant, request.feedId);
    const table = `${feed.source}.${feed.name}`;
    if (request.confirmTable !== table) {
      refuseField(
        PurgeDomainTableRequestSchema,
        "confirm_table",
        "confirm_table",
        `a purge of this feed drops ${table}: write that name out`,
      );
    }
    return changeWorkflow(feed, {
      case: "purge",
      value: { $typeName: "sluice.ingest.v1.PurgeChange" },
    });
  });
  return { workflowId };
}
