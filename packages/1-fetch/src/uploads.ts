import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { headObject, type ObjectHead } from "./head.ts";
import { request, type Store, toDoing } from "./store.ts";

/** An upload that is not an object yet. */
export interface UploadPlace {
  readonly key: string;
  readonly uploadId: string;
}

/** Writes into a bucket of the platform's own. Every call may be repeated. */
export interface Uploads {
  /** Gives the upload's id. */
  begin(key: string): Promise<string>;
  /** Keeps a part, and gives its ETag. Numbers count from 1; all parts but the last have at least 5 MiB. */
  part(place: UploadPlace, number: number, content: Uint8Array): Promise<string>;
  /** Makes the parts an object. */
  complete(place: UploadPlace, partEtags: readonly string[]): Promise<ObjectHead>;
  abort(place: UploadPlace): Promise<void>;
  /** Removes an object; one that is not there is as good as removed. */
  remove(key: string): Promise<void>;
}

export function uploadsInto(store: Store): Uploads {
  const Bucket = store.bucket.name;
  const doing = (key: string) => toDoing(store, "write", { key });
  return {
    async begin(key) {
      const { UploadId } = await request(
        store,
        doing(key),
        undefined,
        async (client, abortSignal) =>
          await client.send(new CreateMultipartUploadCommand({ Bucket, Key: key }), {
            abortSignal,
          }),
      );
      return UploadId ?? "";
    },
    async part({ key, uploadId: UploadId }, PartNumber, Body) {
      const { ETag } = await request(
        store,
        doing(key),
        undefined,
        async (client, abortSignal) =>
          await client.send(
            new UploadPartCommand({ Bucket, Key: key, UploadId, PartNumber, Body }),
            { abortSignal },
          ),
      );
      return ETag ?? "";
    },
    async complete({ key, uploadId: UploadId }, partEtags) {
      const Parts = partEtags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
      await request(
        store,
        doing(key),
        undefined,
        async (client, abortSignal) =>
          await client.send(
            new CompleteMultipartUploadCommand({
              Bucket,
              Key: key,
              UploadId,
              MultipartUpload: { Parts },
            }),
            { abortSignal },
          ),
      );
      return await headObject(store, key);
    },
    async abort({ key, uploadId: UploadId }) {
      await request(
        store,
        doing(key),
        undefined,
        async (client, abortSignal) =>
          await client.send(new AbortMultipartUploadCommand({ Bucket, Key: key, UploadId }), {
            abortSignal,
          }),
      );
    },
    async remove(key) {
      await request(
        store,
        doing(key),
        undefined,
        async (client, abortSignal) =>
          await client.send(new DeleteObjectCommand({ Bucket, Key: key }), { abortSignal }),
      );
    },
  };
}
