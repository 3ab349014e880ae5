import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import type { ListedObject } from "@sluice/schema";
import { request, type Store, toDoing } from "./store.ts";

/** What to list. */
export interface ListRequest {
  /** Only keys that begin with it. Default: all. */
  readonly prefix?: string;
  /** Keys that share a stretch up to this text after the prefix are given as one prefix. Default: none. */
  readonly delimiter?: string;
  /** Objects and prefixes together, at most 1,000. Default: 1,000. */
  readonly pageSize?: number;
  /** The last page's `nextPageToken`. */
  readonly pageToken?: string;
  readonly signal?: AbortSignal;
}

/** One page of a listing, in the order of the keys' UTF-8 bytes. */
export interface ListPage {
  /** Without folder markers (keys that end in `/`): they are no files. */
  readonly objects: readonly ListedObject[];
  readonly prefixes: readonly string[];
  /** Absent on the last page. A page that has one may still be empty. */
  readonly nextPageToken?: string;
}

/** Reads one page of a listing. */
export async function listPage(store: Store, options: ListRequest = {}): Promise<ListPage> {
  const { prefix, delimiter, pageSize, pageToken, signal } = options;
  const command = (): ListObjectsV2Command =>
    new ListObjectsV2Command({
      Bucket: store.bucket.name,
      ...(prefix ? { Prefix: prefix } : {}),
      ...(delimiter ? { Delimiter: delimiter } : {}),
      ...(pageToken ? { ContinuationToken: pageToken } : {}),
      MaxKeys: Math.min(1000, Math.max(1, pageSize ?? 1000)),
      // XML cannot carry every character that a key may have.
      EncodingType: "url",
    });
  const answer = await request(
    store,
    toDoing(store, "list"),
    signal,
    async (client, abortSignal) => await client.send(command(), { abortSignal }),
  );
  return toPage(answer);
}

/** Every object under a prefix, page after page; the next page is asked for when it is reached. */
export async function* listAll(
  store: Store,
  options: Omit<ListRequest, "pageToken"> = {},
): AsyncGenerator<ListedObject> {
  let pageToken: string | undefined;
  do {
    const page = await listPage(store, {
      ...options,
      ...(pageToken === undefined ? {} : { pageToken }),
    });
    yield* page.objects;
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined);
}

function toPage(answer: ListObjectsV2CommandOutput): ListPage {
  const isEncoded = answer.EncodingType === "url";
  // S3 writes a space as a plus sign, as forms do, and a plus sign as %2B.
  const decode = (text: string): string =>
    isEncoded ? decodeURIComponent(text.replaceAll("+", " ")) : text;
  const objects: ListedObject[] = [];
  for (const { Key, Size, ETag, LastModified, StorageClass } of answer.Contents ?? []) {
    const key = decode(Key ?? "");
    if (key === "" || key.endsWith("/")) continue;
    objects.push({
      key,
      size: Size ?? 0,
      etag: ETag ?? "",
      lastModified: LastModified ?? new Date(0),
      storageClass: StorageClass ?? "STANDARD",
    });
  }
  return {
    objects,
    prefixes: (answer.CommonPrefixes ?? []).map(({ Prefix }) => decode(Prefix ?? "")),
    ...(answer.IsTruncated === true && answer.NextContinuationToken !== undefined
      ? { nextPageToken: answer.NextContinuationToken }
      : {}),
  };
}
