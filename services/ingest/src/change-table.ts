import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DeleteRule as DeleteRuleMessage } from "@sluice/api/control/v1/delete_rule_pb";
import type { TableChange } from "@sluice/api/ingest/v1/table_change_pb";
import type { Lease, PublishResultSchema, PublishWork } from "@sluice/api/ingest/v1/task_pb";
import { StageError } from "@sluice/errors";
import {
  type ChangeOptions,
  countRows,
  type DeleteRule,
  describeDomainTable,
  domainTable,
  hideRejects,
  patientWarehouse,
  prepareStitchView,
  publish,
  purgeDomainTable,
  readPublishIntent,
  rowsTable,
  stageNothing,
  stageQuery,
  stageReplacedTable,
  stageWithoutRows,
  stageWithoutWorkflow,
} from "@sluice/load";
import { toFeed } from "./from-proto.ts";
import { recordIntent } from "./record-intent.ts";
import type { WorkerContext } from "./worker.ts";

/**
 * Changes a domain table as people ask for it. It runs as the feed's publish, so no load becomes visible meanwhile,
 * and by the same steps: what the table is to hold is staged, recorded by control, and exchanged.
 */
export async function changeTable(
  lease: Lease,
  work: PublishWork,
  change: TableChange,
  context: WorkerContext,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof PublishResultSchema>> {
  const { workflowId, attempt } = lease;
  // What a change takes depends on the size of its table: the lease alone says how long it may.
  const warehouse = patientWarehouse(context.warehouse, signal);
  if (work.feed === undefined) throw new Error("the task came without a feed");
  const feed = toFeed(work.feed);
  const stitchFeeds = work.stitchFeeds.map(toFeed);
  if (change.refusal !== "" && work.intent === undefined) {
    throw new StageError("publish", "conflict", change.refusal);
  }
  if (change.change.case === "purge") {
    // First out of the view: readers of it must not meet a table that is gone.
    const others = stitchFeeds.filter(({ id }) => id !== feed.id);
    await prepareStitchView(warehouse, feed.source, others);
    await purgeDomainTable(warehouse, feed);
    return {};
  }
  const isCustom = change.change.case === "customTable";
  // A custom domain table is the table itself: columns come and go, and no view could follow an exchange at once.
  const rows = isCustom ? domainTable(feed) : rowsTable(feed);
  const options: ChangeOptions = { warehouse, feed, workflowId, attempt };
  let recorded = work.intent;
  if (recorded === undefined) {
    await stage(options, change);
    const rowsBefore = await countRows(warehouse, feed);
    const operation = "truncate_and_load";
    const found = await readPublishIntent(warehouse, feed, workflowId, operation, rows);
    recorded = await recordIntent(lease, context, signal, found, rowsBefore);
  }
  const { stagingUuid, rowsUuid, rowsBefore } = recorded;
  const keepReplaced =
    !isCustom && change.change.case !== "undo" && context.config.keepReplacedTables;
  const outcome = await publish({
    ...options,
    intent: { operation: "truncate_and_load", stagingUuid, rowsUuid },
    keepReplaced,
    rows,
  });
  if (change.change.case === "undo") await hideRejects(options, change.change.value.workflowId);
  const columns = isCustom ? await describeDomainTable(warehouse, feed) : [];
  await prepareStitchView(warehouse, feed.source, stitchFeeds);
  return {
    columns: columns.map(({ name, type }) => ({ name, type })),
    alreadyPublished: outcome === "already_published",
    rowsAfter: BigInt(await countRows(warehouse, feed)),
    keepsReplacedTable: keepReplaced,
    ...(rowsBefore === undefined ? {} : { rowsBefore }),
  };
}

async function stage(options: ChangeOptions, { change }: TableChange): Promise<void> {
  switch (change.case) {
    case "deleteRows": {
      const { rule, state, rows } = change.value;
      if (state === undefined) throw new Error("the task came without the state of its plan");
      return await stageWithoutRows(options, toDeleteRule(rule), {
        state: { rows: Number(state.rows), fingerprint: state.fingerprint },
        rows: Number(rows),
      });
    }
    case "truncate":
      return await stageNothing(options);
    case "undo":
      return change.value.restoresReplacedTable
        ? await stageReplacedTable(options, change.value.workflowId)
        : await stageWithoutWorkflow(options, change.value.workflowId);
    case "customTable": {
      const { query, readableTables } = change.value;
      return await stageQuery(options, { sql: query, readableTables });
    }
    default:
      throw new StageError("load", "rejected", "control sent work that this worker does not know");
  }
}

/** A rule in the words of the load stage. */
export function toDeleteRule(message: DeleteRuleMessage | undefined): DeleteRule {
  if (message?.when.case === undefined) throw new Error("the call came without a rule");
  const { field, when } = message;
  switch (when.case) {
    case "olderThan":
      return { field, when: { kind: "older-than", value: when.value } };
    case "within":
      return { field, when: { kind: "within", start: when.value.start, end: when.value.end } };
    case "equals":
      return { field, when: { kind: "equals", value: when.value } };
    case "isEmpty":
      return { field, when: { kind: "empty" } };
  }
}
