import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FileSettings as FileSettingsMessage } from "@sluice/api/control/v1/file_settings_pb";
import { PreviewView } from "@sluice/api/control/v1/preview_pb";
import type {
  PreviewObjectRequest,
  PreviewObjectResponseSchema,
} from "@sluice/api/ingest/v1/preview_pb";
import { StageError } from "@sluice/errors";
import type { S3Source } from "@sluice/fetch";
import type { FileSettings, ManifestObject } from "@sluice/schema";
import { toFeed, toFileSettings } from "../from-proto.ts";
import { inferSettings, namesFormat } from "../infer/infer-settings.ts";
import { toConnection } from "../load-work.ts";
import { openSource } from "../open-source.ts";
import { toStageFailure } from "../to-proto.ts";
import { headOf } from "./head-of.ts";
import { type Look, type LookContext, lookAtObject } from "./look-at-object.ts";
import { type RawSeen, rawView } from "./raw-view.ts";
import { type TableSeen, tableView } from "./table-view.ts";
import { toLookMessage, toRawMessage, toTableMessage } from "./to-preview.ts";

type PreviewMessage = NonNullable<MessageInitShape<typeof PreviewObjectResponseSchema>["preview"]>;

const DEFAULT_ROWS = 100;
const DEFAULT_BYTES = 2 ** 20;

/** Shows the head of an object. What a load would fail with is an answer, from the key that is not there on. */
export async function previewObject(
  request: PreviewObjectRequest,
  context: LookContext,
): Promise<MessageInitShape<typeof PreviewObjectResponseSchema>> {
  const { settings } = request;
  try {
    await using source = openSource(toConnection(request.connection), context.config);
    const object = await headOf(source, request, context.signal);
    if (namesFormat(settings)) {
      return { preview: await show(source, object, request, settings, context) };
    }
    const inferred = await inferSettings(source, object, request, context);
    if (inferred.failure === undefined || request.view === PreviewView.RAW) {
      return { preview: await show(source, object, request, inferred.settings, context) };
    }
    const failure = toStageFailure(inferred.failure);
    return { preview: { settings: inferred.settings, failure } };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof StageError)) throw error;
    const failure = error.at({ key: request.key }).toFailure();
    return { preview: { ...(settings && { settings }), failure: toStageFailure(failure) } };
  }
}

async function show(
  source: S3Source,
  object: ManifestObject,
  request: PreviewObjectRequest,
  message: FileSettingsMessage,
  context: LookContext,
): Promise<PreviewMessage> {
  const { entry, pgpKeys, view, feed } = request;
  const settings = toFileSettings(message, { pgpKeys, entryTags: undefined });
  const maxBytes = request.maxBytes || DEFAULT_BYTES;
  const common = { settings: message };
  if (view === PreviewView.RAW) {
    const viewer = rawView(maxBytes);
    const raw: Look<RawSeen> = await lookAtObject(
      source,
      object,
      { settings: asBytes(settings), entry, viewer },
      context,
    );
    const content = raw.seen && { content: toRawMessage(raw.seen) };
    return { ...common, ...toLookMessage(raw, object), ...content };
  }
  const typing = feed === undefined ? undefined : toFeed(feed);
  const viewer = tableView(
    { key: object.key, typing, maxRows: request.maxRows || DEFAULT_ROWS, maxBytes },
    context,
  );
  const table: Look<TableSeen> = await lookAtObject(
    source,
    object,
    { settings, entry, viewer },
    context,
  );
  const content = table.seen && { content: toTableMessage(table.seen, typing !== undefined) };
  return { ...common, ...toLookMessage(table, object), ...content };
}

/** The same layers, and whatever is in them as a stream: bytes need no format, and no reading at random. */
function asBytes({ content, ...layers }: FileSettings): FileSettings {
  if (content.kind === "zip" || content.kind === "tar") {
    const entries = content.entries.map((entry) => ({
      ...entry,
      settings: asBytes(entry.settings),
    }));
    return { ...layers, content: { ...content, entries } };
  }
  return { ...layers, content: { kind: "avro" } };
}
