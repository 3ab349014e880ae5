import { equals } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Feed,
  Feed_State,
  type FeedSpec,
  type Field,
  FieldTypeSchema,
} from "@sluice/api/control/v1/feed_pb";
import type { ControlContext } from "../context.ts";
import type { FieldFault } from "../server/field-violations.ts";
import { activeVersionOf } from "../workflow/feed-version.ts";

/**
 * What of a changed spec rows stand against that were loaded under the active one: the table is sorted by the
 * primary key, and its columns have the fields' types. Paths as in a request with the field `feed`.
 */
export function tableConflicts(active: FeedSpec, changed: FeedSpec): FieldFault[] {
  const faults: FieldFault[] = [];
  const key = active.primaryKey.join(", ");
  if (key !== changed.primaryKey.join(", ")) {
    const message = `the rows that are there are told apart by (${key}): purge or truncate the domain table before another primary key is activated`;
    faults.push({ path: "feed.spec.primary_key", rule: "primary_key.has_rows", message });
  }
  const before = new Map(active.fields.filter(isIncluded).map((field) => [nameOf(field), field]));
  for (const [index, field] of changed.fields.entries()) {
    const known = before.get(nameOf(field));
    if (known?.type === undefined || field.type === undefined || !isIncluded(field)) continue;
    if (equals(FieldTypeSchema, known.type, field.type)) continue;
    const message = `${field.name} was loaded as ${typeOf(known)}, and the rows that are there stay so: purge or truncate the domain table before it becomes ${typeOf(field)}, or load it under another name`;
    faults.push({ path: `feed.spec.fields[${index}].type`, rule: "field.type_has_rows", message });
  }
  return faults;
}

/** The conflicts of a changed spec with the rows of an active feed; none when its domain table has no row. */
export async function rowConflicts(
  context: ControlContext,
  feed: Feed,
  changed: FeedSpec | undefined,
): Promise<FieldFault[]> {
  const version = activeVersionOf(feed);
  if (feed.state !== Feed_State.ACTIVE || version?.spec === undefined || changed === undefined) {
    return [];
  }
  const conflicts = tableConflicts(version.spec, changed);
  if (conflicts.length === 0) return [];
  const { domainTable } = await context.inspect.call((client, options) =>
    client.describeTable({ feed: version }, options),
  );
  return (domainTable?.rows ?? 0n) > 0n ? conflicts : [];
}

/** Throws FAILED_PRECONDITION that says all of what rows stand against. */
export async function assertNoConflict(context: ControlContext, feed: Feed): Promise<void> {
  const conflicts = await rowConflicts(context, feed, feed.draft);
  if (conflicts.length === 0) return;
  const said = conflicts.map(({ path, message }) => `${path.replace(/^feed\./, "")}: ${message}`);
  throw new ConnectError(said.join("; "), Code.FailedPrecondition);
}

const isIncluded = ({ include }: Field): boolean => include !== false;

/** Columns are told apart by case in ClickHouse, names of fields are not. */
const nameOf = ({ name, incomingName }: Field): string =>
  (name === "" ? incomingName : name).toLowerCase();

function typeOf({ type }: Field): string {
  const which = type?.type;
  return which?.case === "decimal"
    ? `decimal(${which.value.precision}, ${which.value.scale})`
    : String(which?.case);
}
