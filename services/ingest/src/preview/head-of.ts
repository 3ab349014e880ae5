import type { PreviewObjectRequest } from "@sluice/api/ingest/v1/preview_pb";
import type { S3Source } from "@sluice/fetch";
import type { ManifestObject } from "@sluice/schema";

/** The version of an object that is there now. */
export async function headOf(
  source: S3Source,
  { key, connection }: Pick<PreviewObjectRequest, "key" | "connection">,
  signal: AbortSignal,
): Promise<ManifestObject> {
  const { etag, versionId, size } = await source.head(key, { signal });
  const bucket = connection?.bucket ?? "";
  return { bucket, key, etag, size, ordinal: 0, ...(versionId === undefined ? {} : { versionId }) };
}
