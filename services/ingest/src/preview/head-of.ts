import type { Connection } from "@sluice/api/ingest/v1/task_pb";
import type { S3Source } from "@sluice/fetch";
import type { ManifestObject } from "@sluice/schema";

/** The version of an object that is there now; `date` is the day for patterns of entries, today when empty. */
export async function headOf(
  source: S3Source,
  request: {
    readonly key: string;
    readonly connection?: Connection | undefined;
    readonly date?: string;
  },
  signal: AbortSignal,
): Promise<ManifestObject> {
  const { key, connection } = request;
  const { etag, versionId, size } = await source.head(key, { signal });
  const bucket = connection?.bucket ?? "";
  const date = request.date || new Date().toISOString().slice(0, 10);
  return {
    bucket,
    key,
    etag,
    size,
    date,
    ordinal: 0,
    ...(versionId === undefined ? {} : { versionId }),
  };
}
