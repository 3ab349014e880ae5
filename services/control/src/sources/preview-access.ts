import { create, type DescMessage } from "@bufbuild/protobuf";
import type { Violation } from "@bufbuild/protovalidate";
import { FeedSpecSchema, FieldSchema } from "@sluice/api/control/v1/feed_pb";
import { type FileSettings, FileSettingsSchema } from "@sluice/api/control/v1/file_settings_pb";
import type { PreviewObjectRequest } from "@sluice/api/control/v1/preview_pb";
import { type FeedVersion, FeedVersionSchema } from "@sluice/api/ingest/v1/task_pb";
import type { ControlContext } from "../context.ts";
import { noFields, readFeed } from "../feeds/feed-rows.ts";
import { invalidRequest, violationsBelow } from "../server/field-violations.ts";
import { explicitFeedSpec } from "../workflow/feed-version.ts";

/** Whether the settings say what the bytes are once all layers are off: then nothing is left to be inferred. */
export function namesFormat(settings: FileSettings | undefined): boolean {
  if (settings === undefined) return false;
  return settings.format.case !== undefined || (settings.archive?.entries.length ?? 0) > 0;
}

/** Throws INVALID_ARGUMENT for settings that name a format and still say nothing that a load could do. */
export function assertSettings(request: DescMessage, settings: FileSettings | undefined): void {
  if (settings === undefined || !namesFormat(settings)) return;
  const violations = violationsIn(request, settings, "settings");
  if (violations.length > 0) throw invalidRequest(violations);
}

function violationsIn(request: DescMessage, settings: FileSettings, path: string): Violation[] {
  const entries = settings.archive?.entries ?? [];
  return [
    ...violationsBelow(request, path, FileSettingsSchema, settings),
    ...entries.flatMap((entry, index) =>
      entry.settings === undefined
        ? []
        : violationsIn(request, entry.settings, `${path}.archive.entries[${index}].settings`),
    ),
  ];
}

/** As whose rows values are shown; undefined for the values as the file has them. */
export async function typingOf(
  context: ControlContext,
  { typing, draft }: Pick<PreviewObjectRequest, "typing" | "draft">,
): Promise<FeedVersion | undefined> {
  switch (typing.case) {
    case "feedId":
      return await feedVersionOf(context, typing.value, draft);
    case "fields": {
      const { fields, primaryKey } = typing.value;
      const spec = create(FeedSpecSchema, {
        fields: fields.map((field) => create(FieldSchema, field)),
        primaryKey,
      });
      return create(FeedVersionSchema, { spec: explicitFeedSpec(spec) });
    }
    default:
      return undefined;
  }
}

/** A feed's active version; its draft when that is asked for, or all there is. FAILED_PRECONDITION when that is empty. */
export async function feedVersionOf(
  context: ControlContext,
  feedId: string,
  isDraft: boolean,
): Promise<FeedVersion> {
  const feed = await readFeed(context.kysely, context.tenant(), feedId);
  const spec = (isDraft ? feed.draft : undefined) ?? feed.spec;
  if (spec === undefined) throw noFields(feed);
  const { source, name, version } = feed;
  return create(FeedVersionSchema, {
    feedId,
    source,
    name,
    version,
    spec: explicitFeedSpec(spec),
  });
}
