import type { S3Client } from "@aws-sdk/client-s3";
import { StageError } from "@sluice/errors";
import type { AccessWatch } from "./access-watch.ts";
import type { BucketReference } from "./bucket-name.ts";
import { explainRefusal } from "./network-origin.ts";
import type { Limits } from "./options.ts";
import { withRetries } from "./retry.ts";
import type { Session } from "./session.ts";
import { type Doing, isExpiredSession, translateAwsError } from "./translate-aws-error.ts";

/** One bucket as one session sees it: what every operation is given. */
export interface Store {
  readonly bucket: BucketReference;
  readonly session: Session;
  readonly limits: Limits;
  readonly watch: AccessWatch;
}

/** The facts about this store that an error's translation needs. */
export function toDoing(
  store: Store,
  operation: Doing["operation"],
  place: Doing["place"] = {},
): Doing {
  return {
    operation,
    region: store.session.region,
    isAccessPoint: store.bucket.kind !== "bucket",
    place: { bucket: store.bucket.name, ...place },
  };
}

/**
 * One short request, tried again while that may help; an expired session is replaced once. `ask` is
 * given the signal that ends it: the caller's, or the idle timeout's.
 */
export async function request<T>(
  store: Store,
  doing: Doing,
  signal: AbortSignal | undefined,
  ask: (client: S3Client, abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { session, limits } = store;
  let renewed = false;
  const attempt = async (client: S3Client): Promise<T> => {
    const deadline = AbortSignal.timeout(limits.idleTimeoutMs);
    return await ask(client, signal === undefined ? deadline : AbortSignal.any([signal, deadline]));
  };
  const attemptOrRenew = async (): Promise<T> => {
    const client = await session.client();
    try {
      return await attempt(client);
    } catch (error) {
      if (renewed || !session.isRenewable || !isExpiredSession(error)) throw error;
      renewed = true;
      session.renew(client);
      return await attempt(await session.client());
    }
  };
  try {
    return await withRetries(limits, signal, attemptOrRenew, (error) =>
      translateAwsError(error, doing),
    );
  } catch (error) {
    throw error instanceof StageError ? await explainRefusal(store, error) : error;
  }
}
