import { type Connection, createS3Source, type Platform, type S3Source } from "@sluice/fetch";
import type { IngestConfig } from "./config.ts";

/** What the configuration says of the platform's own side of every connection. */
function toPlatform({ platform }: IngestConfig): Platform {
  const { stsEndpoint, s3Endpoint, accessKeyId, secretAccessKey } = platform;
  return {
    ...(stsEndpoint === "" ? {} : { stsEndpoint }),
    ...(s3Endpoint === "" ? {} : { s3Endpoint }),
    ...(accessKeyId === "" ? {} : { credentials: { accessKeyId, secretAccessKey } }),
  };
}

/** A customer's bucket, by the right that control hands out. Close it. */
export function openSource(connection: Connection, config: IngestConfig): S3Source {
  return createS3Source({ connection, platform: toPlatform(config) });
}
