import { StageError } from "@sluice/errors";
import type { FaultEffect } from "@sluice/local-aws";
import type { ManifestObject } from "@sluice/schema";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { S3Source } from "../src/index.ts";
import {
  bytesOf,
  type CustomerBucket,
  collect,
  openCustomerBucket,
  pin,
} from "./customer-bucket.ts";

const SIZE = 300_007;
const content = bytesOf(SIZE);

let customer: CustomerBucket;
let source: S3Source;
let object: ManifestObject;

beforeAll(async () => {
  customer = await openCustomerBucket();
  source = customer.open({ idleTimeoutMs: 150 });
  await customer.put("data.bin", content);
  object = await pin(source, "data.bin");
});

afterEach(async () => {
  await customer.aws.faults.clear();
});

afterAll(async () => {
  await source.close();
  await customer[Symbol.asyncDispose]();
});

async function failure(bytes: AsyncIterable<Uint8Array>): Promise<StageError> {
  const error = await collect(bytes).catch((thrown: unknown) => thrown);
  if (error instanceof StageError) return error;
  throw new Error("no StageError was thrown", { cause: error });
}

async function fault(effect: FaultEffect, times?: number, skip?: number): Promise<string> {
  return await customer.aws.faults.add({
    bucket: customer.bucket,
    operation: "GetObject",
    effect,
    ...(times === undefined ? {} : { times }),
    ...(skip === undefined ? {} : { skip }),
  });
}

async function fired(id: string): Promise<number> {
  return (await customer.aws.faults.counts())[id] ?? 0;
}

async function openResponses(key: string): Promise<number> {
  return (await customer.aws.objectStatistics(customer.bucket, key)).openResponses;
}

describe("reading", () => {
  test("gives the object byte for byte", async () => {
    expect((await collect(source.read(object))).equals(content)).toBe(true);
  });

  test.each([
    [0, 1],
    [SIZE - 1, SIZE],
    [1, 65_537],
    [100_000, 100_000],
    [70_000, SIZE],
    [0, SIZE - 1],
  ])("gives bytes %d to %d as a slice of the whole", async (start, end) => {
    const bytes = await collect(source.read(object, { start, end }));
    expect(bytes.equals(content.subarray(start, end))).toBe(true);
  });

  test.each([
    [-1, 2],
    [2, 1],
    [0, SIZE + 1],
    [Number.NaN, 1],
  ])("refuses the range %d to %d", async (start, end) => {
    await expect(collect(source.read(object, { start, end }))).rejects.toThrow(RangeError);
  });

  test("reads an object without bytes, and still asks whether it is the same", async () => {
    await customer.put("empty", "");
    const empty = await pin(source, "empty");
    expect(await collect(source.read(empty))).toHaveLength(0);
    await customer.put("empty", "not empty");
    expect((await failure(source.read(empty))).code).toBe("object_changed");
  });

  test("sends nothing before the reader pulls", async () => {
    const before = await customer.aws.requestCounts();
    source.read(object);
    expect(await customer.aws.requestCounts()).toEqual(before);
  });

  // Attack R2.
  test("encodes odd keys exactly once", async () => {
    for (const key of ["a b+c%2e%2e/..x?versionId=1#f", "ünï/☃/𝒳", "//double//", "a'(b)*!"]) {
      await customer.put(key, key);
      if (key.endsWith("/")) continue;
      expect((await collect(source.read(await pin(source, key)))).toString()).toBe(key);
    }
  });
});

describe("breaks that are survived", () => {
  for (const afterBytes of [0, 1, 65_536, 150_003, SIZE - 1]) {
    test(`a reset after ${afterBytes} bytes (S3-05)`, async () => {
      const id = await fault({ kind: "reset", afterBytes }, 1);
      expect((await collect(source.read(object))).equals(content)).toBe(true);
      expect(await fired(id)).toBe(1);
    });

    test(`a clean end after ${afterBytes} bytes, short of the length (S3-07)`, async () => {
      const id = await fault({ kind: "short-body", afterBytes }, 1);
      expect((await collect(source.read(object))).equals(content)).toBe(true);
      expect(await fired(id)).toBe(1);
    });
  }

  test("a stall without an end (S3-06), and its socket is destroyed", async () => {
    await customer.put("stalling.bin", content);
    const stalling = await pin(source, "stalling.bin");
    const id = await fault({ kind: "stall", afterBytes: 1000 }, 1);
    expect((await collect(source.read(stalling))).equals(content)).toBe(true);
    expect(await fired(id)).toBe(1);
    await expect.poll(() => openResponses("stalling.bin")).toBe(0);
  });

  test("a break in every answer, as long as each brings something", async () => {
    const id = await fault({ kind: "reset", afterBytes: 60_000 });
    expect((await collect(source.read(object))).equals(content)).toBe(true);
    expect(await fired(id)).toBeGreaterThanOrEqual(4);
  });

  test("a break in a range resumes within the range", async () => {
    await fault({ kind: "short-body", afterBytes: 700 }, 2);
    const bytes = await collect(source.read(object, { start: 5_000, end: 9_000 }));
    expect(bytes.equals(content.subarray(5_000, 9_000))).toBe(true);
  });

  test.each(["SlowDown", "InternalError", "TooManyRequests", "RequestTimeout"] as const)(
    "%s, as often as the attempts allow (S3-01..04)",
    async (code) => {
      const id = await fault({ kind: "error", code }, 3);
      expect((await collect(source.read(object))).equals(content)).toBe(true);
      expect(await fired(id)).toBe(3);
    },
  );

  test("a session that expires between two ranges (ST-02)", async () => {
    await fault({ kind: "reset", afterBytes: 100_000 }, 1);
    const id = await fault({ kind: "expire-token" }, 1, 1);
    expect((await collect(source.read(object))).equals(content)).toBe(true);
    expect(await fired(id)).toBe(1);
  });
});

describe("breaks that are not survived", () => {
  test.each([
    ["SlowDown", "fetch", "throttled"],
    ["InternalError", "connect", "source_unavailable"],
  ] as const)("%s for ever is %s.%s after the attempts", async (code, stage, expected) => {
    const id = await fault({ kind: "error", code });
    const error = await failure(source.read(object));
    expect([error.stage, error.code, error.retry]).toEqual([stage, expected, "automatic"]);
    expect(await fired(id)).toBe(4);
  });

  test("a stall for ever is fetch.stalled and says how long it waited", async () => {
    await fault({ kind: "stall", afterBytes: 0 });
    const error = await failure(source.read(object));
    expect(error.code).toBe("stalled");
    expect(error.message).toContain("150 ms (idleTimeoutMs)");
  });

  test("an answer that ends early for ever is fetch.length_mismatch, never success", async () => {
    await fault({ kind: "short-body", afterBytes: 0 });
    expect((await failure(source.read(object))).code).toBe("length_mismatch");
  });

  test("resets for ever are connect.source_unavailable", async () => {
    await fault({ kind: "reset", afterBytes: 0 });
    expect((await failure(source.read(object))).code).toBe("source_unavailable");
  });

  test("a store that ignores ranges is found out (S3-10)", async () => {
    await fault({ kind: "ignore-range" });
    const error = await failure(source.read(object, { start: 10, end: 20 }));
    expect(error.code).toBe("length_mismatch");
    expect(error.seen).toContain("HTTP 200");
  });

  test("an object replaced before and during the read is object_changed (S3-09)", async () => {
    await customer.put("replaced.bin", content);
    const replaced = await pin(source, "replaced.bin");
    await fault({ kind: "replace", afterBytes: 80_000 }, 1);
    await fault({ kind: "reset", afterBytes: 120_000 }, 1);
    const midway = await failure(source.read(replaced));
    expect([midway.stage, midway.code]).toEqual(["fetch", "object_changed"]);
    expect(midway.coordinate.key).toBe("replaced.bin");
    expect(midway.coordinate.layers?.[0]?.offset).toBeGreaterThan(0);
    expect((await failure(source.read(replaced))).code).toBe("object_changed");
  });

  test("a store that ignores If-Match is found out by the ETag (S3-11)", async () => {
    await customer.put("unmatched.bin", content);
    const unmatched = await pin(source, "unmatched.bin");
    await customer.put("unmatched.bin", bytesOf(SIZE, 2));
    await fault({ kind: "ignore-conditions" });
    const error = await failure(source.read(unmatched));
    expect(error.code).toBe("object_changed");
    expect(error.expected).toBe(unmatched.etag);
  });

  test("an object deleted midway is object_deleted (S3-13)", async () => {
    await customer.put("deleted.bin", content);
    const deleted = await pin(source, "deleted.bin");
    await fault({ kind: "reset", afterBytes: 100 }, 1);
    const bytes = source.read(deleted)[Symbol.asyncIterator]();
    await bytes.next();
    await customer.remove("deleted.bin");
    await expect(bytes.next()).rejects.toThrow("[fetch/object_deleted]");
  });

  test("access withdrawn midway is access_revoked, before the first byte access_denied", async () => {
    await fault({ kind: "reset", afterBytes: 1_000 }, 1);
    await fault({ kind: "revoke-access" }, 1, 1);
    expect((await failure(source.read(object))).code).toBe("access_revoked");
    await customer.aws.faults.clear();
    await fault({ kind: "revoke-access" });
    await using fresh = customer.open();
    expect((await failure(fresh.read(object))).code).toBe("access_denied");
  });
});

describe("backpressure and closing", () => {
  const big = bytesOf(24 * 1024 * 1024, 3);

  beforeAll(async () => {
    await customer.put("big.bin", big);
  });

  test("a reader that pauses stops the server's sending, for longer than the idle timeout", async () => {
    const bytes = source.read(await pin(source, "big.bin"))[Symbol.asyncIterator]();
    await bytes.next();
    const sent = (): Promise<number> => customer.aws.bytesSent(customer.bucket, "big.bin");
    const samples: number[] = [];
    // Six samples in a row that agree span the idle timeout, which a paused reader must not trip.
    await vi.waitFor(
      async () => {
        samples.push(await sent());
        expect(new Set(samples.slice(-6)).size).toBe(1);
        expect(samples.length).toBeGreaterThan(6);
      },
      { interval: 50, timeout: 10_000 },
    );
    expect(samples.at(-1)).toBeLessThan(big.length / 2);
    const rest: Uint8Array[] = [];
    for (let next = await bytes.next(); !next.done; next = await bytes.next())
      rest.push(next.value);
    expect(big.subarray(-SIZE).equals(Buffer.concat(rest).subarray(-SIZE))).toBe(true);
    expect((await customer.aws.objectStatistics(customer.bucket, "big.bin")).getRequests).toBe(1);
  });

  test("a reader that stops closes the socket", async () => {
    for await (const chunk of source.read(await pin(source, "big.bin"))) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      expect(await openResponses("big.bin")).toBe(1);
      break;
    }
    await expect.poll(() => openResponses("big.bin")).toBe(0);
  });

  test("an abort ends a pending read with the caller's reason and closes the socket", async () => {
    const stopping = new AbortController();
    const reason = new Error("the task was cancelled");
    await fault({ kind: "stall", afterBytes: 70_000 });
    const patient = customer.open({ idleTimeoutMs: 60_000 });
    const planned = await pin(patient, "big.bin");
    const reading = collect(patient.read(planned, { signal: stopping.signal }));
    await expect.poll(() => openResponses("big.bin")).toBe(1);
    stopping.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect.poll(() => openResponses("big.bin")).toBe(0);
    await patient.close();
  });

  test("closing the source ends what is being read and closes the socket", async () => {
    const closing = customer.open();
    const bytes = closing.read(await pin(closing, "big.bin"))[Symbol.asyncIterator]();
    await bytes.next();
    await closing.close();
    await expect(bytes.next()).rejects.toThrow("the source was closed");
    await expect.poll(() => openResponses("big.bin")).toBe(0);
    await expect(closing.list()).rejects.toThrow("the source was closed");
  });

  test("reads one after another share a session", async () => {
    const before = await customer.aws.requestCounts();
    for (let count = 0; count < 3; count++) await collect(source.read(object));
    const after = await customer.aws.requestCounts();
    expect((after.GetObject ?? 0) - (before.GetObject ?? 0)).toBe(3);
    expect((after.AssumeRole ?? 0) - (before.AssumeRole ?? 0)).toBe(0);
  });
});
