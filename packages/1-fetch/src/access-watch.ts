import { setTimeout as sleep } from "node:timers/promises";
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import { StageError } from "@sluice/errors";
import type { ManifestObject } from "@sluice/schema";
import type { BucketReference } from "./bucket-name.ts";
import type { Limits } from "./options.ts";
import type { Session } from "./session.ts";
import { translateAwsError } from "./translate-aws-error.ts";

/**
 * Notices that a customer withdrew access while data is being read (CR-12). Neither S3 nor STS tell: an answer
 * that has begun goes on to its end, and a session outlives the trust that it was given under. So from the
 * first byte on, access is asked for anew every `accessCheckMs`: the role is assumed again, and the object that
 * is being read is looked at under the new session, which then takes the place of the old one.
 */
export interface AccessWatch {
  /** Aborted, with `connect.access_revoked` as its reason, once access is gone. It never comes back. */
  readonly signal: AbortSignal;
  /** Bytes of the object came: from now on a refusal is a withdrawal, and is looked for until the source is closed. */
  flowed(object: ManifestObject): void;
  hasFlowed(object: ManifestObject): boolean;
  close(): void;
}

export interface AccessWatchOptions {
  readonly bucket: BucketReference;
  readonly session: Session;
  readonly limits: Limits;
}

/** A refusal must be repeated after this share of the interval: rights spread slowly, also given ones. */
const CONFIRMATION_SHARE = 0.25;

export function createAccessWatch({ bucket, session, limits }: AccessWatchOptions): AccessWatch {
  const revoked = new AbortController();
  const closing = new AbortController();
  let current: ManifestObject | undefined;
  let timer: NodeJS.Timeout | undefined;
  let checking = false;

  const check = async (object: ManifestObject): Promise<StageError | undefined> => {
    try {
      const client = await session.begin();
      const input = {
        Bucket: object.bucket,
        Key: object.key,
        ...(object.versionId === undefined ? {} : { VersionId: object.versionId }),
      };
      const abortSignal = AbortSignal.any([
        closing.signal,
        AbortSignal.timeout(limits.idleTimeoutMs),
      ]);
      await client.send(new HeadObjectCommand(input), { abortSignal });
      return undefined;
    } catch (error) {
      const failure = translateAwsError(error, {
        operation: "head",
        region: session.region,
        isAccessPoint: bucket.kind !== "bucket",
        place: { bucket: object.bucket, key: object.key, etag: object.etag },
      });
      // Only a refusal: an object that is gone is the read's own affair, and a store that fails heals.
      return failure.code === "invalid_credentials" || failure.code === "access_denied"
        ? failure
        : undefined;
    }
  };

  const tick = async (): Promise<void> => {
    const object = current;
    if (object === undefined || checking) return;
    checking = true;
    try {
      if ((await check(object)) === undefined) return;
      await sleep(limits.accessCheckMs * CONFIRMATION_SHARE, undefined, {
        signal: closing.signal,
        ref: false,
      });
      const refusal = await check(object);
      if (refusal === undefined) return;
      const message =
        refusal.code === "invalid_credentials"
          ? "the right to read was withdrawn: the role cannot be assumed any more"
          : "the right to read was withdrawn: the store refuses the object that is being read";
      const { seen } = refusal.toFailure();
      revoked.abort(
        new StageError("connect", "access_revoked", message, {
          bucket: object.bucket,
          key: object.key,
          etag: object.etag,
          cause: refusal,
          ...(seen === undefined ? {} : { seen }),
        }),
      );
      clearInterval(timer);
    } catch (error) {
      if (!closing.signal.aborted) throw error;
    } finally {
      checking = false;
    }
  };

  return {
    signal: revoked.signal,
    flowed(object) {
      current = object;
      if (timer !== undefined || closing.signal.aborted) return;
      timer = setInterval(() => void tick(), limits.accessCheckMs);
      timer.unref();
    },
    hasFlowed: ({ key, etag }) => current?.key === key && current.etag === etag,
    close() {
      clearInterval(timer);
      closing.abort();
    },
  };
}
