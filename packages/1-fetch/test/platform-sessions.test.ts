import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { createPlatformSessions, type PlatformSessions, type S3Source } from "../src/index.ts";
import { type CustomerBucket, openCustomerBucket, trustStatement } from "./customer-bucket.ts";

/** Sources that follow each other, as those of a worker's tasks do. */

let customer: CustomerBucket;
beforeAll(async () => {
  customer = await openCustomerBucket();
  await customer.put("a.csv", "a\n1\n");
});
afterEach(async () => {
  await customer.aws.faults.clear();
  await customer.trust(trustStatement(customer.platformRoleArn));
});
afterAll(async () => await customer[Symbol.asyncDispose]());

async function listed(
  platformSessions: PlatformSessions,
  act: (source: S3Source) => Promise<unknown> = async (source) => await source.list(),
  sessionName = "tenant-1-run-1",
): Promise<{ readonly identity: number; readonly roles: number }> {
  const { connection } = customer.options;
  const access = { ...connection.access, sessionName } as typeof connection.access;
  const before = await customer.aws.requestCounts();
  {
    await using source = customer.open({
      platformSessions,
      connection: { ...connection, access },
    });
    await act(source);
  }
  const after = await customer.aws.requestCounts();
  const asked = (operation: string): number => (after[operation] ?? 0) - (before[operation] ?? 0);
  return { identity: asked("GetCallerIdentity"), roles: asked("AssumeRole") };
}

test("ask once who we are and for our role, and each for the customer's role", async () => {
  const sessions = createPlatformSessions();
  expect(await listed(sessions)).toEqual({ identity: 1, roles: 2 });
  expect(await listed(sessions)).toEqual({ identity: 0, roles: 1 });
  expect(await listed(createPlatformSessions())).toEqual({ identity: 1, roles: 2 });
});

test("share no session of our role with another tenant", async () => {
  const sessions = createPlatformSessions();
  await listed(sessions);
  expect(await listed(sessions, undefined, "tenant-2-run-1")).toEqual({ identity: 1, roles: 2 });
});

test("notice each that the customer's role does not trust us any more", async () => {
  const sessions = createPlatformSessions();
  await listed(sessions);
  await customer.trust([]);
  await listed(sessions, async (source) => {
    await expect(source.list()).rejects.toMatchObject({
      stage: "connect",
      code: "invalid_credentials",
    });
  });
});

test("have a session of our role that is refused replaced, once", async () => {
  const sessions = createPlatformSessions();
  await listed(sessions);
  await customer.aws.faults.add({
    operation: "AssumeRole",
    effect: { kind: "expire-token" },
    times: 1,
  });
  // The customer's role in vain, our role, the customer's role.
  expect(await listed(sessions)).toEqual({ identity: 0, roles: 3 });
  expect(await listed(sessions)).toEqual({ identity: 0, roles: 1 });
});

test("begin a new session of our role before the one that is kept has expired", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const sessions = createPlatformSessions();
    await listed(sessions);
    vi.advanceTimersByTime(719_000);
    expect((await listed(sessions)).roles).toBe(1);
    vi.advanceTimersByTime(2_000);
    expect((await listed(sessions)).roles).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});
