import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "@sluice/api/google/rpc/error_details_pb";

/** How much one caller may ask. */
export interface RateLimitOptions {
  /** Calls a second, in the long run. */
  readonly perSecond: number;
  /** Calls at once, after a pause. */
  readonly burst: number;
  /** Milliseconds of a clock that never goes back; performance.now when not set. */
  readonly now?: () => number;
}

/** Counts calls of callers, each by itself: a bucket that fills again with time. In this process alone. */
export interface RateLimit {
  /** Takes one call. Gives 0, or the milliseconds until there is one again. */
  take(caller: string): number;
}

/** Buckets that are kept; beyond that the ones used longest ago are forgotten, which is to say full. */
const MOST_BUCKETS = 10_000;

export function createRateLimit({ perSecond, burst, now }: RateLimitOptions): RateLimit {
  const clock = now ?? (() => performance.now());
  const buckets = new Map<string, { left: number; at: number }>();
  return {
    take(caller) {
      const at = clock();
      const bucket = buckets.get(caller) ?? { left: burst, at };
      const left = Math.min(burst, bucket.left + ((at - bucket.at) * perSecond) / 1000);
      buckets.delete(caller);
      buckets.set(caller, { left: left >= 1 ? left - 1 : left, at });
      const [oldest] = buckets.keys();
      if (buckets.size > MOST_BUCKETS && oldest !== undefined) buckets.delete(oldest);
      return left >= 1 ? 0 : Math.ceil(((1 - left) * 1000) / perSecond);
    },
  };
}

/** RESOURCE_EXHAUSTED with the time after which a call is taken again: as detail, as header, and in words. */
export function tooManyCalls(retryMs: number): ConnectError {
  return new ConnectError(
    `too many calls with this credential; try again in ${retryMs} ms`,
    Code.ResourceExhausted,
    { "retry-after": String(Math.ceil(retryMs / 1000)) },
    [
      {
        desc: RetryInfoSchema,
        value: create(RetryInfoSchema, { retryDelay: durationFromMs(retryMs) }),
      },
    ],
  );
}
