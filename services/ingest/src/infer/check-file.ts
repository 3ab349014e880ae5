import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type CheckFileResponseSchema as CheckSchema,
  FileDifference_Kind as Kind,
} from "@sluice/api/control/v1/inference_pb";
import type { CheckFileRequest, CheckFileResponseSchema } from "@sluice/api/ingest/v1/inference_pb";
import { StageError } from "@sluice/errors";
import type { S3Source } from "@sluice/fetch";
import { type ColumnDifference, matchColumns, matchFindings } from "@sluice/load";
import type { Feed, ManifestObject } from "@sluice/schema";
import { toFeed, toFileSettings } from "../from-proto.ts";
import { toConnection } from "../load-work.ts";
import { openSource } from "../open-source.ts";
import { headOf } from "../preview/head-of.ts";
import { type LookContext, lookAtObject } from "../preview/look-at-object.ts";
import { type TableSeen, tableView } from "../preview/table-view.ts";
import { toStageFailure } from "../to-proto.ts";
import { inferSettings, namesFormat } from "./infer-settings.ts";

type Check = Exclude<MessageInitShape<typeof CheckSchema>, { $typeName: string }>;
type Difference = Exclude<NonNullable<Check["differences"]>[number], { $typeName: string }>;

const SAMPLE_ROWS = 1_000;
const SAMPLE_BYTES = 2 ** 20;

/** Every way in which a file differs from a feed, by a sample of its rows. */
export async function checkFile(
  request: CheckFileRequest,
  context: LookContext,
): Promise<MessageInitShape<typeof CheckFileResponseSchema>> {
  try {
    await using source = openSource(toConnection(request.connection), context.config);
    const object = await headOf(source, request, context.signal);
    return { check: await check(source, object, request, context) };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof StageError)) throw error;
    return { check: { failure: toStageFailure(error.at({ key: request.key }).toFailure()) } };
  }
}

async function check(
  source: S3Source,
  object: ManifestObject,
  request: CheckFileRequest,
  context: LookContext,
): Promise<Check> {
  const { feed: version, pgpKeys, entry } = request;
  if (version === undefined) throw new Error("the call came without a feed");
  const feed = toFeed(version);
  const inferred = namesFormat(request.settings)
    ? { settings: request.settings, failure: undefined }
    : await inferSettings(source, object, request, context);
  const { settings, failure } = inferred;
  if (failure !== undefined || !namesFormat(settings)) {
    return { settings, ...(failure && { failure: toStageFailure(failure) }) };
  }
  const viewer = tableView(
    {
      key: object.key,
      typing: feed,
      maxRows: SAMPLE_ROWS,
      maxBytes: SAMPLE_BYTES,
      isLenient: true,
    },
    context,
  );
  const opened = toFileSettings(settings, { pgpKeys, entryTags: undefined });
  const look = await lookAtObject(source, object, { settings: opened, entry, viewer }, context);
  const differences = look.seen === undefined ? [] : differencesOf(feed, look.seen);
  const rows = look.seen?.rows ?? [];
  return {
    settings,
    matches: look.failure === undefined && !differences.some(({ error }) => error),
    differences: differences.toSorted((a, b) => Number(b.error) - Number(a.error)),
    ...(look.failure && { failure: toStageFailure(look.failure) }),
    sampledRows: BigInt(rows.length),
    rejectedRows: BigInt(rows.filter(({ reject }) => reject !== undefined).length),
  };
}

const KINDS: Readonly<Record<ColumnDifference["kind"], Kind>> = {
  missing_required: Kind.MISSING_REQUIRED,
  missing_optional: Kind.MISSING_OPTIONAL,
  wrong_type: Kind.WRONG_TYPE,
  ambiguous: Kind.AMBIGUOUS,
  extra_column: Kind.EXTRA_COLUMN,
};

function differencesOf(feed: Feed, seen: TableSeen): readonly Difference[] {
  const { plan, findings } = seen;
  const columns = [
    ...matchColumns(feed, plan.columns).differences,
    ...(findings === undefined ? [] : matchFindings(feed, plan, findings)),
  ];
  const absent = new Set(
    columns.flatMap(({ kind, field }) => (kind === "extra_column" ? [] : field)),
  );
  return [
    ...columns.map(({ kind, isError, field, column, message }) => ({
      kind: KINDS[kind],
      error: isError,
      field,
      column,
      message,
    })),
    ...valueDifferences(feed, seen, absent),
    ...(findings?.warnings ?? []).map((message) => ({ kind: Kind.OTHER, error: false, message })),
  ];
}

/** What the fields refuse of the sample's values. */
function valueDifferences(
  feed: Feed,
  { plan, rows }: TableSeen,
  absent: ReadonlySet<string>,
): readonly Difference[] {
  const rejected = rows.filter(({ reject }) => reject !== undefined).length;
  const isOverThreshold = rejected * 100 > feed.errorThresholdPercent * rows.length;
  const cut = rows.filter(({ reject }) => reject?.stage === "parse").length;
  const broken: Difference = {
    kind: Kind.OTHER,
    error: isOverThreshold,
    message: `${cut} of ${rows.length} records of the sample cannot be cut into fields`,
    rows: BigInt(cut),
  };
  const ofFields = plan.fields.flatMap(({ field }, at): readonly Difference[] => {
    if (absent.has(field.name)) return [];
    const cells = rows.flatMap(({ cells: all }) => all[at] ?? []);
    const empty = cells.filter(({ code }) => code === "primary_key_null").length;
    const bad = cells.filter(({ code }) => code !== "" && code !== "primary_key_null").length;
    const present = cells.filter(({ value, code }) => value !== null || code !== "").length - empty;
    const common = { field: field.name, column: field.path ?? field.incomingName };
    const found: Difference[] = [];
    if (bad > 0) {
      const isWrong = bad === present;
      const share = isWrong ? `none of the ${bad} values` : `${bad} of ${present} values`;
      const verb = isWrong ? "can become" : "cannot become";
      found.push({
        ...common,
        kind: isWrong ? Kind.WRONG_TYPE : Kind.BAD_VALUES,
        error: isOverThreshold,
        message: `${share} of the sample ${verb} the ${field.type.kind} ${JSON.stringify(field.name)}`,
        rows: BigInt(bad),
      });
    }
    if (empty > 0) {
      found.push({
        ...common,
        kind: Kind.KEY_EMPTY,
        error: isOverThreshold,
        message: `${empty} of ${rows.length} rows of the sample have no value in the primary key field ${JSON.stringify(field.name)}`,
        rows: BigInt(empty),
      });
    }
    return found;
  });
  return cut === 0 ? ofFields : [...ofFields, broken];
}
