import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type PatternBacktest, PatternBacktestSchema } from "@sluice/api/control/v1/backtest_pb";
import type { Courier } from "@sluice/api/control/v1/courier_pb";
import {
  type BacktestPatternRequest,
  BacktestPatternRequestSchema,
} from "@sluice/api/control/v1/courier_service_pb";
import type { OtherPatternSchema } from "@sluice/api/ingest/v1/inspect_service_pb";
import type { ControlContext } from "../context.ts";
import { connectionOf } from "../credentials/credential-access.ts";
import { readCredentialRow } from "../credentials/credential-rows.ts";
import { refuseField } from "../server/field-violations.ts";
import { type Days, periodOf } from "../workflow/days.ts";
import { readCourier, selectCouriers, toCourier } from "./courier-rows.ts";
import { patternFault } from "./pattern-fault.ts";

const DEFAULT_DAYS = 30;
const MAX_DAYS = 366;

/** Other couriers whose patterns are compared. */
const MAX_OTHERS = 1000;

/** What is tried. */
interface Subject {
  /** Empty for a pattern that is no courier's yet. */
  readonly courierId: string;
  readonly credentialId: string;
  readonly prefix: string;
  readonly patterns: readonly { readonly tag: string; readonly pattern: string }[];
}

/**
 * Tries the patterns of a courier, or one that is no courier's yet, on the bucket's listing. NOT_FOUND without
 * the courier or the credential, INVALID_ARGUMENT for a text that is no pattern, FAILED_PRECONDITION for a
 * courier that has keys alone.
 */
export async function backtestPattern(
  context: ControlContext,
  request: BacktestPatternRequest,
  now: Date = new Date(),
): Promise<{ patterns: PatternBacktest[] }> {
  const days = periodOf(request.period, BacktestPatternRequestSchema, now, {
    defaultDays: DEFAULT_DAYS,
    maxDays: MAX_DAYS,
  });
  const subject = await subjectOf(context, request);
  const connection = await connectionOf(context, subject.credentialId);
  const others = await othersOf(context, subject);
  const patterns: PatternBacktest[] = [];
  for (const { tag, pattern } of subject.patterns) {
    patterns.push(await tryOne({ tag, pattern }));
  }
  return { patterns };

  async function tryOne(of: { tag: string; pattern: string }): Promise<PatternBacktest> {
    const { prefix } = subject;
    const { startDate, endDate }: Days = days;
    const { backtest } = await context.inspect.call((client, options) =>
      client.backtestPattern(
        { connection, prefix, pattern: of.pattern, startDate, endDate, others },
        options,
      ),
    );
    const found = backtest ?? create(PatternBacktestSchema);
    return { ...found, fileTag: of.tag };
  }
}

async function subjectOf(
  context: ControlContext,
  { subject }: BacktestPatternRequest,
): Promise<Subject> {
  if (subject.case === "trial") {
    const { credentialId, prefix, pattern } = subject.value;
    const fault = patternFault(pattern);
    if (fault !== undefined) {
      const path = "trial.pattern";
      refuseField(BacktestPatternRequestSchema, path, "list.pattern_invalid", fault);
    }
    return { courierId: "", credentialId, prefix, patterns: [{ tag: "", pattern }] };
  }
  const courier = await readCourier(context.kysely, context.tenant(), subject.value ?? "");
  const patterns = patternsOf(courier);
  if (patterns.length === 0) {
    throw new ConnectError(
      `courier ${JSON.stringify(courier.name)} looks for keys alone: there is no pattern to try`,
      Code.FailedPrecondition,
    );
  }
  const { id: courierId, credentialId, prefix } = courier;
  return { courierId, credentialId, prefix, patterns };
}

function patternsOf({ files }: Courier): { tag: string; pattern: string }[] {
  return files.flatMap(({ tag, selection }) =>
    selection.case === "pattern" ? [{ tag, pattern: selection.value }] : [],
  );
}

/** What the other couriers of the same bucket look for. */
async function othersOf(
  context: ControlContext,
  subject: Subject,
): Promise<MessageInitShape<typeof OtherPatternSchema>[]> {
  const tenant = context.tenant();
  const bucketOf = async (id: string): Promise<string> =>
    bucketName((await readCredentialRow(context.kysely, tenant, id)).kind);
  const bucket = await bucketOf(subject.credentialId);
  const rows = await selectCouriers(context.kysely, tenant)
    .where("courier.id", "<>", subject.courierId)
    .orderBy("courier.name_key")
    .limit(MAX_OTHERS)
    .execute();
  const buckets = new Map<string, string>();
  const others: MessageInitShape<typeof OtherPatternSchema>[] = [];
  for (const courier of rows.map(toCourier)) {
    const { credentialId, prefix, id: courierId, name: courierName } = courier;
    const seen = buckets.get(credentialId) ?? (await bucketOf(credentialId));
    buckets.set(credentialId, seen);
    if (seen !== bucket) continue;
    for (const { tag: fileTag, selection } of courier.files) {
      // Inside quotes a key stands for itself, save for a star.
      const pattern =
        selection.case === "key"
          ? `'${selection.value.replaceAll("'", "''")}'`
          : (selection.value ?? "");
      others.push({ prefix, pattern, overlap: { courierId, courierName, fileTag } });
    }
  }
  return others;
}

/** The bucket of a credential as it is kept, with its store's address. */
function bucketName(kind: unknown): string {
  const text = (value: unknown, name: string): string => {
    const inner =
      typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
    return typeof inner === "string" ? inner : "";
  };
  if (typeof kind !== "object" || kind === null) return "";
  const values: unknown[] = Object.values(kind);
  return JSON.stringify([text(values[0], "endpoint"), text(values[0], "bucket")]);
}
