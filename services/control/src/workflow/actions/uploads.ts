import type { ControlContext } from "../../context.ts";
import type { UploadArea } from "../context.ts";

/** The platform's bucket of uploads, into which a worker writes: control has no S3 client. */
export function createUploadArea({ inspect }: Pick<ControlContext, "inspect">): UploadArea {
  return {
    begin: async (key) => {
      const { uploadId } = await inspect.call((client, options) =>
        client.beginUpload({ key }, options),
      );
      return uploadId;
    },
    part: async (place, number, content) => {
      const { etag } = await inspect.call((client, options) =>
        client.uploadPart({ ...place, number, content }, options),
      );
      return etag;
    },
    complete: async (place, partEtags) => {
      const { object } = await inspect.call((client, options) =>
        client.completeUpload({ ...place, partEtags: [...partEtags] }, options),
      );
      if (object === undefined) throw new Error("a worker completed an upload and named no object");
      const { etag, versionId, size } = object;
      return { etag, versionId, size: Number(size) };
    },
    abort: async (place) => {
      await inspect.call((client, options) => client.abortUpload(place, options));
    },
  };
}
