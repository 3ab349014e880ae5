import { StageError } from "@sluice/errors";
import type { ManifestObject } from "@sluice/schema";
import { type RunningChecksum, startChecksum } from "./checksum.ts";
import { backOff } from "./retry.ts";
import type { Store } from "./store.ts";
import { openStretch, type Stretch, toPlace } from "./stretch.ts";
import { isExpiredSession, translateAwsError } from "./translate-aws-error.ts";

export interface ReadOptions {
  /** First byte, from 0. Default: 0. */
  readonly start?: number;
  /** The byte after the last one. Default: the object's size. */
  readonly end?: number;
  readonly signal?: AbortSignal;
}

/**
 * The object's bytes, exactly the version of the manifest or an error. A break (reset, stall, short
 * body, 5xx, throttling, expired session) is survived by asking for the rest, under the same ETag.
 *
 * Nothing is asked for before the reader pulls, and nothing is read ahead beyond the answer's own
 * buffer (Node's `readableHighWaterMark` of the socket, 64 KiB, plus the chunk that went over it)
 * and the kernel's. A reader that stops closes the socket.
 *
 * Errors: `fetch.object_changed`, `object_deleted`, `object_archived`, `length_mismatch`,
 * `checksum_mismatch`, `stalled`, `throttled`; `connect.*` for what concerns access or the store.
 */
export async function* readObject(
  store: Store,
  object: ManifestObject,
  options: ReadOptions = {},
): AsyncGenerator<Uint8Array> {
  const { start = 0, end = object.size } = options;
  if (!(start >= 0 && start <= end && end <= object.size)) {
    throw new RangeError(`bytes ${start} to ${end} are not within ${object.size} bytes`);
  }
  const isWhole = start === 0 && end === object.size;
  // Of an empty object there is nothing to receive, but its ETag is still worth asking for.
  if (start === end && !isWhole) return;

  const { session, limits, watch } = store;
  const signal =
    options.signal === undefined ? watch.signal : AbortSignal.any([options.signal, watch.signal]);
  let next = start;
  let failures = 0;
  let isRenewed = false;
  let stretch: Stretch | undefined;
  let checksum: { readonly expected: string; readonly running: RunningChecksum } | undefined;
  try {
    for (;;) {
      signal.throwIfAborted();
      // Outside the try: the session does its own retrying, and its failure is final.
      const client = stretch?.client ?? (await session.client());
      let chunk: Uint8Array | undefined;
      try {
        signal.throwIfAborted();
        if (stretch === undefined) {
          stretch = await openStretch({ client, store, object, start: next, end, isWhole, signal });
          const { checksum: whole } = stretch;
          // Only the answer from the first byte on tells one; it goes on over the answers after it.
          if (whole !== undefined) {
            checksum = { expected: whole.value, running: startChecksum(whole.algorithm) };
          }
        }
        chunk = await stretch.next();
      } catch (error) {
        stretch?.close();
        stretch = undefined;
        if (signal.aborted) throw signal.reason;
        if (!isRenewed && session.isRenewable && isExpiredSession(error)) {
          isRenewed = true;
          session.renew(client);
          continue;
        }
        const failure = translateAwsError(error, {
          operation: "read",
          region: session.region,
          isAccessPoint: store.bucket.kind !== "bucket",
          hasDataFlowed: next > start || watch.hasFlowed(object),
          place: toPlace(object, next),
        });
        if (failure.retry !== "automatic" || ++failures >= limits.maxAttempts) throw failure;
        await backOff(failures, limits, signal);
        continue;
      }
      if (chunk === undefined) break;
      next += chunk.byteLength;
      watch.flowed(object);
      failures = 0;
      isRenewed = false;
      checksum?.running.update(chunk);
      yield chunk;
    }
    if (checksum !== undefined) assertChecksum(checksum.expected, checksum.running, object);
  } finally {
    stretch?.close();
  }
}

function assertChecksum(expected: string, running: RunningChecksum, object: ManifestObject): void {
  const seen = running.digest();
  if (seen === expected) return;
  throw new StageError(
    "fetch",
    "checksum_mismatch",
    "the bytes that came do not have the object's checksum",
    { ...toPlace(object, object.size), seen, expected },
  );
}
