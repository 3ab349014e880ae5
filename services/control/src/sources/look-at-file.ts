import { clone, create } from "@bufbuild/protobuf";
import { Stage, type StageFailure, StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import {
  ArchiveSettings_Kind,
  Compression,
  type FileSettings,
  FileSettingsSchema,
} from "@sluice/api/control/v1/file_settings_pb";
import type { FileDifference } from "@sluice/api/control/v1/inference_pb";
import { type Preview, PreviewSchema } from "@sluice/api/control/v1/preview_pb";
import { type PlannedLook, PlannedLookSchema } from "@sluice/api/control/v1/run_plan_pb";
import type { Connection, FeedVersion, ManifestObject } from "@sluice/api/ingest/v1/task_pb";
import type { ControlContext } from "../context.ts";
import { completeFailure } from "../stage-failure.ts";
import { entryTagsOfFeed, feedOf, type Plan, queryOf } from "../workflow/plan.ts";
import { pgpKeysToTry } from "./pgp-keys-to-try.ts";

const ROWS = 500;
const SHOWN_REJECTS = 10;

/** Looks at the head of a file as a load into the feed would read it. */
export async function lookAtFile(
  context: ControlContext,
  plan: Plan,
  connection: Connection,
  object: ManifestObject,
  feedId: string,
): Promise<PlannedLook> {
  const feed = queryOf(plan, feedId) === undefined ? feedOf(plan, feedId) : undefined;
  const settings = settingsFor(plan, object.fileTag, feedId);
  const pgpKeys = await pgpKeysToTry(context, { connection, key: object.key, settings });
  const { preview = create(PreviewSchema) } = await context.inspect.call((client, options) =>
    client.previewObject(
      { connection, key: object.key, settings, pgpKeys, maxRows: ROWS, ...(feed && { feed }) },
      options,
    ),
  );
  const rows = preview.content.case === "table" ? preview.content.value.rows : [];
  const rejects = rows.flatMap(({ reject }) => (reject === undefined ? [] : [reject]));
  const differences: FileDifference[] = [];
  if (feed !== undefined && preview.failure === undefined) {
    const { check } = await context.inspect.call((client, options) =>
      client.checkFile({ connection, key: object.key, settings, pgpKeys, feed }, options),
    );
    differences.push(...(check?.differences ?? []));
  }
  const failure = preview.failure ?? thresholdFailure(feed, object, rows.length, rejects.length);
  return create(PlannedLookSchema, {
    key: object.key,
    fileTag: object.fileTag,
    feedId,
    configuredLayers: layersOf(settings),
    seenLayers: preview.layers,
    differences,
    rows: BigInt(rows.length),
    rejectedRows: BigInt(rejects.length),
    rejects: rejects.slice(0, SHOWN_REJECTS),
    ...(failure && { failure: completeFailure(failure) }),
    warnings: preview.warnings,
    complete: preview.complete && !moreRows(preview),
    bytesRead: preview.bytesRead,
  });
}

function moreRows({ content }: Preview): boolean {
  return content.case === "table" && content.value.moreRows;
}

/** The file's settings, with those entries of an archive alone that go into the feed. */
function settingsFor(plan: Plan, fileTag: string, feedId: string): FileSettings {
  const file = plan.courier.files.find(({ tag }) => tag === fileTag);
  const settings = clone(FileSettingsSchema, file?.settings ?? create(FileSettingsSchema));
  const tags = entryTagsOfFeed(plan, feedId, fileTag);
  const { archive } = settings;
  const own = archive?.entries.filter(({ tag }) => tags.includes(tag)) ?? [];
  if (archive !== undefined && own.length > 0) archive.entries = own;
  return settings;
}

function layersOf({ encryption, compression, archive }: FileSettings): string[] {
  const isNamed =
    compression !== Compression.UNSPECIFIED &&
    compression !== Compression.AUTO &&
    compression !== Compression.NONE;
  return [
    ...(encryption.case === "pgp" ? ["pgp"] : []),
    ...(isNamed ? [compressionName(compression)] : []),
    ...(archive === undefined ? [] : [archive.kind === ArchiveSettings_Kind.TAR ? "tar" : "zip"]),
  ];
}

function compressionName(compression: Compression): string {
  const names = Object.entries(Compression).find(([, value]) => value === compression);
  return (names?.[0] ?? "").toLowerCase();
}

/** What a load fails with when all of the file is as its head. */
function thresholdFailure(
  feed: FeedVersion | undefined,
  { bucket, key, etag }: ManifestObject,
  rows: number,
  rejected: number,
): StageFailure | undefined {
  const percent = feed?.spec?.errorThresholdPercent ?? 1;
  if (feed === undefined || rows === 0 || (rejected * 100) / rows <= percent) return undefined;
  return create(StageFailureSchema, {
    stage: Stage.CAST,
    code: "threshold_exceeded",
    message: `${rejected} of the first ${rows} rows of ${key} would be rejected, more than ${percent} %`,
    coordinate: { bucket, key, etag },
    seen: `${rejected} of ${rows} rows`,
    expected: `at most ${percent} %`,
  });
}
