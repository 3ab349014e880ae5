import type { MessageInitShape } from "@bufbuild/protobuf";
import { type FeedSpecSchema, type FieldSchema, Lineage } from "@sluice/api/control/v1/feed_pb";
import type { InferredSettingsSchema } from "@sluice/api/control/v1/inference_pb";
import type {
  InferFileSettingsRequest,
  InferFileSettingsResponseSchema,
} from "@sluice/api/ingest/v1/inference_pb";
import { StageError } from "@sluice/errors";
import type { S3Source } from "@sluice/fetch";
import { type InferredField, inferFields, primaryKeyCandidates } from "@sluice/infer";
import type { Field, FileSettings, ManifestObject } from "@sluice/schema";
import { toFileSettings } from "../from-proto.ts";
import { toConnection } from "../load-work.ts";
import { openSource } from "../open-source.ts";
import { headOf } from "../preview/head-of.ts";
import { type Look, type LookContext, lookAtObject } from "../preview/look-at-object.ts";
import { type TableSeen, tableView } from "../preview/table-view.ts";
import { toFieldTypeMessage, toLayerMessages } from "../preview/to-preview.ts";
import type { Typing } from "../preview/typing.ts";
import { toStageFailure } from "../to-proto.ts";
import { inferSettings, namesFormat } from "./infer-settings.ts";

type Inferred = Exclude<MessageInitShape<typeof InferredSettingsSchema>, { $typeName: string }>;

/** Records that fields are inferred from. */
const SAMPLE_ROWS = 1_000;
const SAMPLE_BYTES = 2 ** 20;

/** How an object is opened, and what is in it. What keeps it closed is an answer, beside what was found out before. */
export async function inferFile(
  request: InferFileSettingsRequest,
  context: LookContext,
): Promise<MessageInitShape<typeof InferFileSettingsResponseSchema>> {
  const { settings } = request;
  try {
    await using source = openSource(toConnection(request.connection), context.config);
    const object = await headOf(source, request, context.signal);
    return { inferred: await infer(source, object, request, context) };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof StageError)) throw error;
    const failure = toStageFailure(error.at({ key: request.key }).toFailure());
    return { inferred: { ...(settings && { settings }), failure } };
  }
}

async function infer(
  source: S3Source,
  object: ManifestObject,
  request: InferFileSettingsRequest,
  context: LookContext,
): Promise<Inferred> {
  const { settings, guesses, layers, entry, failure, warnings } = await inferSettings(
    source,
    object,
    request,
    context,
  );
  const inferred: Inferred = {
    settings,
    guesses: guesses.map(({ fieldPath, guess, isGiven }) => ({
      fieldPath,
      ...guess,
      given: isGiven,
    })),
    layers: toLayerMessages(layers, false),
    entry,
    warnings: [...warnings],
    ...(failure && { failure: toStageFailure(failure) }),
  };
  if (failure !== undefined || !namesFormat(settings)) return inferred;
  const { pgpKeys } = request;
  const opened = toFileSettings(settings, { pgpKeys, entryTags: undefined });
  const look = async (typing: Typing | undefined): Promise<Look<TableSeen>> =>
    await lookAtTable(source, object, { settings: opened, entry: request.entry, typing }, context);
  const text = await look(undefined);
  const fields = await castable(columnsOf(text), look);
  return {
    ...inferred,
    ...describe(fields),
    entry: text.entry,
    warnings: [...warnings, ...text.warnings, ...noRecords(text), ...unseenEntries(text)],
    sampledRows: BigInt(text.seen?.rows.length ?? 0),
    ...(text.failure && { failure: toStageFailure(text.failure) }),
  };
}

function noRecords({ seen, failure }: Look<TableSeen>): readonly string[] {
  if (failure !== undefined || seen === undefined || seen.rows.length > 0) return [];
  return ["there is no record in the file: types and keys cannot be told"];
}

/** Settings around an archive are those of every file in it, and only one of them was looked into. */
function unseenEntries({ layers, entry }: Look<TableSeen>): readonly string[] {
  const others = layers.flatMap(({ entries }) => entries).filter((name) => name !== entry).length;
  if (entry === "" || others === 0) return [];
  const files = others === 1 ? "file" : "files";
  return [`the archive has ${others} more ${files}: only ${entry} was looked into`];
}

async function lookAtTable(
  source: S3Source,
  object: ManifestObject,
  options: {
    readonly settings: FileSettings;
    readonly entry: string;
    readonly typing: Typing | undefined;
  },
  context: LookContext,
): Promise<Look<TableSeen>> {
  const { settings, entry, typing } = options;
  const sample = { maxRows: SAMPLE_ROWS, maxBytes: SAMPLE_BYTES, key: object.key };
  const viewer = tableView({ ...sample, typing, isLenient: true }, context);
  return await lookAtObject(source, object, { settings, entry, viewer }, context);
}

/** What the columns could become, each value of which the load's own casts take. */
async function castable(
  fields: readonly InferredField[],
  look: (typing: Typing) => Promise<Look<TableSeen>>,
): Promise<readonly InferredField[]> {
  if (fields.every(({ type }) => type.kind === "string")) return fields;
  const { seen } = await look({ fields: fields.map(toField), primaryKey: [] });
  return fields.map((field, at) => {
    const refused = seen?.rows.filter(({ cells }) => cells[at]?.code) ?? [];
    if (seen === undefined || refused.length === 0) return field;
    const evidence = `${field.evidence}, but ${refused.length} of them do not load as ${field.type.kind}`;
    const { format: _, thousandsSeparator: __, decimalSeparator: ___, ...plain } = field;
    return { ...plain, type: { kind: "string" }, confidence: 0.5, evidence };
  });
}

function columnsOf({ seen }: Look<TableSeen>): readonly InferredField[] {
  if (seen === undefined) return [];
  // Records that could not be cut have no cells.
  const rows = seen.rows.filter(({ cells }) => cells.length > 0);
  return inferFields(
    seen.plan.fields.map(({ field, column }, at) => ({
      name: field.incomingName,
      ...(field.path === undefined ? {} : { path: field.path }),
      type: column?.type ?? "Nullable(String)",
      values: rows.map(({ cells }) => cells[at]?.value ?? null),
    })),
  );
}

function toField(field: InferredField): Field {
  const { incomingName, path, name, type, format, semanticTags } = field;
  const { thousandsSeparator, decimalSeparator } = field;
  return {
    incomingName,
    ...(path === undefined ? {} : { path }),
    name,
    type,
    ...(format === undefined ? {} : { format }),
    ...(thousandsSeparator === undefined ? {} : { thousandsSeparator }),
    ...(decimalSeparator === undefined ? {} : { decimalSeparator }),
    semanticTags,
    include: true,
    require: false,
  };
}

function describe(
  fields: readonly InferredField[],
): Pick<Inferred, "fields" | "primaryKeyCandidates" | "draft"> {
  const candidates = primaryKeyCandidates(fields);
  const [best] = candidates;
  const key = best?.uniqueShare === 1 ? best.fields : undefined;
  const messages = fields.map((field) => toFieldMessage(field, key ?? []));
  const draft: MessageInitShape<typeof FeedSpecSchema> =
    key === undefined
      ? { fields: [...messages, ...LINEAGE], primaryKey: LINEAGE.map(({ name }) => name) }
      : { fields: messages, primaryKey: [...key] };
  return {
    fields: fields.map((field, at) => ({
      incomingName: field.incomingName,
      path: field.path ?? "",
      type: toFieldTypeMessage(field.type),
      format: field.format ?? "",
      nullable: field.isNullable,
      semanticTags: [...field.semanticTags],
      sampleValues: [...field.sampleValues],
      nullShare: field.nullShare,
      confidence: field.confidence,
      evidence: field.evidence,
      semanticTagsConfidence: field.meaning.confidence,
      semanticTagsEvidence: field.meaning.evidence,
      nullableConfidence: field.nullability.confidence,
      nullableEvidence: field.nullability.evidence,
      field: messages[at] ?? {},
    })),
    primaryKeyCandidates: candidates.map(({ fields: names, ...measured }) => ({
      fields: [...names],
      ...measured,
    })),
    ...(fields.length === 0 ? {} : { draft }),
  };
}

/** For rows that nothing identifies: where they come from does. */
const LINEAGE = [
  {
    incomingName: "source_file",
    name: "source_file",
    type: toFieldTypeMessage({ kind: "string" }),
    lineage: Lineage.FILE,
  },
  {
    incomingName: "source_entry",
    name: "source_entry",
    type: toFieldTypeMessage({ kind: "string" }),
    lineage: Lineage.ENTRY,
  },
  {
    incomingName: "source_row",
    name: "source_row",
    type: toFieldTypeMessage({ kind: "integer" }),
    lineage: Lineage.ROW,
  },
];

function toFieldMessage(
  field: InferredField,
  key: readonly string[],
): Exclude<MessageInitShape<typeof FieldSchema>, { $typeName: string }> {
  const { incomingName, name, type, path, format, semanticTags } = field;
  return {
    incomingName,
    name,
    type: toFieldTypeMessage(type),
    path: path ?? "",
    format: format ?? "",
    semanticTags: [...semanticTags],
    thousandsSeparator: field.thousandsSeparator ?? "",
    decimalSeparator: field.decimalSeparator ?? "",
    include: true,
    require: key.includes(name),
  };
}
