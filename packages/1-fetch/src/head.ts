import {
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  type S3Client,
} from "@aws-sdk/client-s3";
import { StageError } from "@sluice/errors";
import { closeBody } from "./body.ts";
import { request, type Store, toDoing } from "./store.ts";
import { isUnexplained } from "./translate-aws-error.ts";

/** An object as a HEAD shows it. */
export interface ObjectHead {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Strong, quotes included. */
  readonly etag: string;
  /** Absent in a bucket that never was versioned. */
  readonly versionId?: string;
  readonly lastModified: Date;
  readonly storageClass: string;
}

export interface HeadOptions {
  readonly versionId?: string;
  readonly signal?: AbortSignal;
}

/** Asks for an object's facts; `list.file_not_found` when there is no such key. */
export async function headObject(
  store: Store,
  key: string,
  options: HeadOptions = {},
): Promise<ObjectHead> {
  const { versionId, signal } = options;
  const input = {
    Bucket: store.bucket.name,
    Key: key,
    ...(versionId === undefined ? {} : { VersionId: versionId }),
  };
  const answer = await request(
    store,
    toDoing(store, "head", { key, ...(versionId === undefined ? {} : { versionId }) }),
    signal,
    async (client, abortSignal) => {
      try {
        return await client.send(new HeadObjectCommand(input), { abortSignal });
      } catch (error) {
        if (isUnexplained(error)) await explain(client, input, abortSignal);
        throw error;
      }
    },
  );
  return toObjectHead(store, key, answer);
}

/** A HEAD's refusal has no body and so no code: the same question by GET throws the error that has one. */
async function explain(
  client: S3Client,
  input: { readonly Bucket: string; readonly Key: string; readonly VersionId?: string },
  abortSignal: AbortSignal,
): Promise<void> {
  const command = new GetObjectCommand({ ...input, Range: "bytes=0-0" });
  const { Body } = await client.send(command, { abortSignal });
  closeBody(Body);
}

function toObjectHead(store: Store, key: string, answer: HeadObjectCommandOutput): ObjectHead {
  const { ContentLength, ETag, VersionId, LastModified, StorageClass } = answer;
  if (ContentLength === undefined || ETag === undefined || !ETag.startsWith('"')) {
    throw new StageError(
      "connect",
      "source_unavailable",
      "the store tells no length or no strong ETag of the object, so that it cannot be pinned",
      { bucket: store.bucket.name, key, seen: `ETag ${ETag ?? "absent"}` },
    );
  }
  return {
    key,
    size: ContentLength,
    etag: ETag,
    ...(VersionId === undefined ? {} : { versionId: VersionId }),
    lastModified: LastModified ?? new Date(0),
    storageClass: StorageClass ?? "STANDARD",
  };
}
