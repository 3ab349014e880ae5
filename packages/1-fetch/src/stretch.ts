import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from "@aws-sdk/client-s3";
import { type Coordinate, StageError } from "@sluice/errors";
import type { ManifestObject } from "@sluice/schema";
import { pass } from "@sluice/streams";
import { closeBody, toIncomingMessage } from "./body.ts";
import { type ObjectChecksum, toObjectChecksum } from "./checksum.ts";
import type { Store } from "./store.ts";

/** One GET of a stretch of an object, its answer verified, its bytes counted. */
export interface Stretch {
  readonly client: S3Client;
  /** Of the whole object, when the store told one. */
  readonly checksum: ObjectChecksum | undefined;
  /** The next bytes; undefined once every byte of the stretch has come. */
  next(): Promise<Uint8Array | undefined>;
  /** Destroys the socket unless the answer was read to its end. */
  close(): void;
}

export interface StretchOptions {
  readonly client: S3Client;
  readonly store: Store;
  readonly object: ManifestObject;
  /** First byte, and the one after the last. */
  readonly start: number;
  readonly end: number;
  /** Whether the reader wants the object from its first byte to its last. */
  readonly isWhole: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Where in an object a read stood. */
export function toPlace(object: ManifestObject, offset: number): Coordinate {
  return {
    bucket: object.bucket,
    key: object.key,
    etag: object.etag,
    ...(object.versionId === undefined ? {} : { versionId: object.versionId }),
    layers: [{ kind: "object", offset }],
  };
}

/** Sends the GET and verifies the answer's headers; throws foreign errors as they come. */
export async function openStretch(options: StretchOptions): Promise<Stretch> {
  const { client, store, object, start, end, isWhole, signal } = options;
  const isRanged = !(isWhole && start === 0);
  const abort = new AbortController();
  let body: IncomingMessage | undefined;
  const stop = (): void => {
    abort.abort();
    // The SDK's own handling of the signal ends with the answer's headers.
    body?.destroy();
  };
  signal?.addEventListener("abort", stop, { once: true });
  const watch = startWatch(store.limits.idleTimeoutMs, stop);
  // Kept here: an answer that was read to its end gives its socket back and forgets it.
  let socket: Socket | undefined;
  let isEndedEarly = false;
  const onEnd = (): void => {
    isEndedEarly = true;
  };
  const close = (): void => {
    watch.stop();
    signal?.removeEventListener("abort", stop);
    socket?.removeListener("end", onEnd);
    closeBody(body);
  };

  let next = start;
  const place = (): Coordinate => toPlace(object, next);
  const toFailure = (error: unknown): unknown => {
    if (watch.hasFired) {
      const message = `nothing came for ${store.limits.idleTimeoutMs} ms (idleTimeoutMs)`;
      return new StageError("fetch", "stalled", message, { ...place(), cause: error });
    }
    // A clean end of the connection before the end of the body: not a broken wire, a short answer.
    if (isEndedEarly) return lengthMismatch(`${end - next} bytes are missing`, place());
    return error;
  };

  let answer: GetObjectCommandOutput;
  try {
    watch.wait();
    answer = await client.send(toCommand(object, start, end, isRanged), {
      abortSignal: abort.signal,
    });
    watch.rest();
    body = toIncomingMessage(answer.Body);
    verifyAnswer(answer, { object, start, end, isRanged });
  } catch (error) {
    close();
    throw toFailure(error);
  }
  const chunks: AsyncIterator<Uint8Array> | undefined = body?.[Symbol.asyncIterator]();
  socket = body?.socket;
  socket?.once("end", onEnd);

  return {
    client,
    checksum: isRanged ? undefined : toObjectChecksum(answer),
    close,
    async next() {
      let result: IteratorResult<Uint8Array> | undefined;
      watch.wait();
      try {
        result = await chunks?.next();
      } catch (error) {
        throw toFailure(error);
      } finally {
        watch.rest();
      }
      if (result === undefined || result.done === true) {
        if (next < end) throw lengthMismatch(`${end - next} bytes are missing`, place());
        close();
        return undefined;
      }
      const chunk = result.value;
      if (next + chunk.byteLength > end) {
        throw lengthMismatch("more bytes came than were asked for", place());
      }
      next += chunk.byteLength;
      return pass(chunk);
    },
  };
}

function toCommand(
  object: ManifestObject,
  start: number,
  end: number,
  isRanged: boolean,
): GetObjectCommand {
  const command = new GetObjectCommand({
    Bucket: object.bucket,
    Key: object.key,
    IfMatch: object.etag,
    ...(object.versionId === undefined ? {} : { VersionId: object.versionId }),
    ...(isRanged ? { Range: `bytes=${start}-${end - 1}` } : {}),
  });
  if (isRanged) return command;
  // As a header, not as the command's ChecksumMode: that would have the SDK hash every byte in a
  // second stream, and again only for what one answer carries, not for a read that was resumed.
  command.middlewareStack.add(
    (send) => async (args) => {
      if (hasHeaders(args.request)) args.request.headers["x-amz-checksum-mode"] = "ENABLED";
      return await send(args);
    },
    { step: "build", name: "askForChecksum" },
  );
  return command;
}

function hasHeaders(value: unknown): value is { headers: Record<string, string> } {
  return typeof value === "object" && value !== null && "headers" in value;
}

/** A store that ignores If-Match or Range is found out here, before a byte is passed on. */
function verifyAnswer(
  answer: GetObjectCommandOutput,
  asked: {
    readonly object: ManifestObject;
    readonly start: number;
    readonly end: number;
    readonly isRanged: boolean;
  },
): void {
  const { object, start, end, isRanged } = asked;
  const place = toPlace(object, start);
  const { VersionId } = answer;
  const isOtherVersion = object.versionId !== undefined && (VersionId ?? "") !== object.versionId;
  if (answer.ETag !== object.etag || isOtherVersion) {
    const message = "the store sent another version of the object than the one that was asked for";
    throw new StageError("fetch", "object_changed", message, {
      ...place,
      seen: [
        answer.ETag ?? "no ETag",
        ...(isOtherVersion ? [VersionId ?? "no version"] : []),
      ].join(),
      expected: [object.etag, ...(isOtherVersion ? [object.versionId ?? ""] : [])].join(),
    });
  }
  const status = answer.$metadata.httpStatusCode;
  const range = `bytes ${start}-${end - 1}/${object.size}`;
  if (isRanged && (status !== 206 || answer.ContentRange !== range)) {
    throw lengthMismatch("the store did not send the range that was asked for", place, {
      seen: `HTTP ${status}, ${answer.ContentRange ?? "no Content-Range"}`,
      expected: `HTTP 206, ${range}`,
    });
  }
  if (!isRanged && status !== 200) {
    throw lengthMismatch("the store sent a part instead of the whole object", place, {
      seen: `HTTP ${status}`,
      expected: "HTTP 200",
    });
  }
  const { ContentLength } = answer;
  if (ContentLength !== undefined && ContentLength !== end - start) {
    throw lengthMismatch("the store announces another length than was asked for", place, {
      seen: `${ContentLength} bytes`,
      expected: `${end - start} bytes`,
    });
  }
}

function lengthMismatch(
  message: string,
  place: Coordinate,
  facts: { readonly seen?: string; readonly expected?: string } = {},
): StageError<"fetch"> {
  return new StageError("fetch", "length_mismatch", message, { ...place, ...facts });
}

interface Watch {
  readonly hasFired: boolean;
  /** Somebody waits from now on. */
  wait(): void;
  /** Nobody waits: a reader may take its time. */
  rest(): void;
  stop(): void;
}

/** Calls `onIdle` when somebody has waited for `idleTimeoutMs`. One timer, rearmed in place for each wait. */
function startWatch(idleTimeoutMs: number, onIdle: () => void): Watch {
  let isWaiting = false;
  let hasFired = false;
  const timer = setTimeout(() => {
    if (!isWaiting) return;
    hasFired = true;
    onIdle();
  }, idleTimeoutMs);
  return {
    get hasFired() {
      return hasFired;
    },
    wait() {
      isWaiting = true;
      timer.refresh();
    },
    rest() {
      isWaiting = false;
    },
    stop() {
      isWaiting = false;
      clearTimeout(timer);
    },
  };
}
