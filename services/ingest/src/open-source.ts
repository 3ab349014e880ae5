import { StageError } from "@sluice/errors";
import {
  type Connection,
  createS3Source,
  type Platform,
  type PlatformSessions,
  type S3Source,
} from "@sluice/fetch";
import type { IngestConfig } from "./config.ts";

/** What the configuration says of the platform's own side of every connection. */
function toPlatform({ platform }: IngestConfig): Platform {
  const { stsEndpoint, s3Endpoint, accessKeyId, secretAccessKey, allowedHosts } = platform;
  return {
    allowedHosts: new Set(allowedHosts),
    ...(stsEndpoint === "" ? {} : { stsEndpoint }),
    ...(s3Endpoint === "" ? {} : { s3Endpoint }),
    ...(accessKeyId === "" ? {} : { credentials: { accessKeyId, secretAccessKey } }),
  };
}

/**
 * A customer's bucket, by the right that control hands out, or the platform's own one; with `onlyKey` the session is good
 * for no other object. Tasks give the sessions of the platform's role on to each other; whoever tests a connection
 * begins one of its own. Close it.
 */
export function openSource(
  connection: Connection,
  config: IngestConfig,
  {
    onlyKey,
    platformSessions,
  }: { readonly onlyKey?: string; readonly platformSessions?: PlatformSessions | undefined } = {},
): S3Source {
  const isPlatforms = connection.access.kind === "platform";
  return createS3Source({
    connection: isPlatforms ? uploadsOf(config) : connection,
    platform: toPlatform(config),
    ...config.limits.fetch,
    ...(onlyKey === undefined ? {} : { onlyKey }),
    ...(platformSessions === undefined ? {} : { platformSessions }),
  });
}

/** The bucket of uploads; `connect.uploads_not_set_up` when the operator named none. */
export function uploadsOf({ uploads }: Pick<IngestConfig, "uploads">): Connection {
  if (uploads.bucket === "") {
    const message = "No bucket is set up that files can be uploaded into.";
    throw new StageError("connect", "uploads_not_set_up", message, {
      expected: "SLUICE_UPLOAD_BUCKET",
    });
  }
  return {
    bucket: uploads.bucket,
    ...(uploads.region === "" ? {} : { region: uploads.region }),
    access: { kind: "platform" },
  };
}
