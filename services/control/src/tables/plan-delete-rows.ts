import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { DeleteRule } from "@sluice/api/control/v1/delete_rule_pb";
import type { Row } from "@sluice/api/control/v1/domain_table_pb";
import {
  type PlanDeleteRowsRequest,
  PlanDeleteRowsRequestSchema,
} from "@sluice/api/control/v1/domain_table_service_pb";
import type { Field, FieldType } from "@sluice/api/control/v1/feed_pb";
import { DeleteRowsChangeSchema } from "@sluice/api/ingest/v1/table_change_pb";
import type { ControlContext } from "../context.ts";
import { readFeed } from "../feeds/feed-rows.ts";
import { type FieldFault, invalidRequest, toViolation } from "../server/field-violations.ts";
import { sealDeletePlan } from "../workflow/delete-plan.ts";
import { activeVersionOf } from "../workflow/feed-version.ts";
import { newestChange } from "../workflow/load-records.ts";

/** Columns of the service's own that a rule may name, for equality. */
const OWN_COLUMNS: readonly string[] = ["_file", "_workflow"];

type TypeCase = NonNullable<FieldType["type"]["case"]>;

/** How a value of each type is written. A text that passes is one that ClickHouse reads. */
const FORMS: Record<TypeCase, { readonly pattern: RegExp; readonly form: string }> = {
  boolean: { pattern: /^(true|false)$/, form: "true or false" },
  date: { pattern: /^\d{4}-\d{2}-\d{2}$/, form: "a date like 2026-11-20" },
  datetime: {
    pattern: /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})?)?$/,
    form: "a moment like 2026-11-20T08:30:00Z",
  },
  decimal: { pattern: /^-?\d{1,38}(\.\d{1,38})?$/, form: "a number like 12.50" },
  float: { pattern: /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/, form: "a number like 12.5" },
  integer: { pattern: /^-?\d{1,18}$/, form: "a whole number" },
  string: { pattern: /^/, form: "a text" },
};

/** What a rule would delete, with a token that stands for it. */
export async function planDeleteRows(
  context: ControlContext,
  request: PlanDeleteRowsRequest,
): Promise<{ rows: bigint; remainingRows: bigint; samples: Row[]; planToken: string }> {
  const { feedId, rule } = request;
  const tenant = context.tenant();
  const feed = activeVersionOf(await readFeed(context.kysely, tenant, feedId));
  if (rule === undefined) throw new Error("a request came through without its rule");
  if (feed === undefined) {
    throw new ConnectError("the feed is not active: it has no rows", Code.FailedPrecondition);
  }
  const faults = ruleFaults(rule, feed.spec?.fields ?? []);
  if (faults.length > 0) {
    throw invalidRequest(faults.map((fault) => toViolation(PlanDeleteRowsRequestSchema, fault)));
  }
  // Before the rows are counted: what is published meanwhile makes the plan stale, never wrong.
  const newest = await newestChange(context.kysely, tenant, feedId);
  const maxSamples = request.maxSamples === 0 ? 20 : request.maxSamples;
  const { rows, state, samples } = await context.inspect.call((client, options) =>
    client.readDeleteEffect({ feed, rule, maxSamples }, options),
  );
  if (state === undefined) throw new Error("the ingest worker answered without the table's state");
  const change = create(DeleteRowsChangeSchema, { rule, state, rows });
  const plan = { feedId, newestChange: newest?.number ?? 0, change };
  const planToken = sealDeletePlan(context.secrets, plan);
  return { rows, remainingRows: state.rows - rows, samples, planToken };
}

function ruleFaults({ field: name, when }: DeleteRule, fields: readonly Field[]): FieldFault[] {
  const fault = (path: string, rule: string, message: string): FieldFault[] => [
    { path: path === "" ? "rule" : `rule.${path}`, rule, message },
  ];
  if (OWN_COLUMNS.includes(name)) {
    return when.case === "equals"
      ? []
      : fault("field", "rule.own_column", `${name} can be compared by equals alone`);
  }
  const field = fields.find((each) => each.name === name && each.include !== false);
  const type = field?.type?.type.case;
  if (type === undefined)
    return fault("field", "rule.field", "the feed loads no field of this name");
  const { pattern, form } = FORMS[type];
  const formFaults = (path: string, value: string): FieldFault[] =>
    pattern.test(value) ? [] : fault(path, "rule.value", `a ${type} is written as ${form}`);
  const isOrdered = type !== "boolean" && type !== "string";
  switch (when.case) {
    case "olderThan":
      return isOrdered
        ? formFaults("older_than", when.value)
        : fault("older_than", "rule.order", `a ${type} is not older than another`);
    case "within":
      return isOrdered
        ? [
            ...formFaults("within.start", when.value.start),
            ...formFaults("within.end", when.value.end),
          ]
        : fault("within", "rule.order", `a ${type} does not lie in a range`);
    case "equals":
      return type === "float"
        ? fault("equals", "rule.float", "floating point numbers are not compared for equality")
        : formFaults("equals", when.value);
    default:
      return [];
  }
}
