import { StageError } from "@sluice/errors";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  bytesOf,
  type CustomerBucket,
  collect,
  openCustomerBucket,
  pin,
  trustStatement,
} from "./customer-bucket.ts";

const content = bytesOf(2_000_000);

let customer: CustomerBucket;
beforeAll(async () => {
  customer = await openCustomerBucket();
  await customer.put("data.bin", content);
});
afterEach(async () => {
  await customer.aws.faults.clear();
  await customer.trust(trustStatement(customer.platformRoleArn));
});
afterAll(async () => await customer[Symbol.asyncDispose]());

async function stallAfter(afterBytes: number): Promise<void> {
  await customer.aws.faults.add({
    operation: "GetObject",
    effect: { kind: "stall", afterBytes },
    times: 1,
  });
}

test("a trust that is taken away ends a read that waits, although its session lives on", async () => {
  await using source = customer.open({ accessCheckMs: 40 });
  const object = await pin(source, "data.bin");
  await stallAfter(1_000);
  const reading = collect(source.read(object)).catch((error: unknown) => error);
  await customer.trust({ Effect: "Deny", Principal: "*", Action: "sts:AssumeRole" });
  const error = await reading;
  expect(error).toBeInstanceOf(StageError);
  expect(error).toMatchObject({
    stage: "connect",
    code: "access_revoked",
    retry: "after_change",
    coordinate: { bucket: customer.bucket, key: "data.bin" },
  });
  expect(source.revoked.aborted).toBe(true);
  await expect(collect(source.read(object))).rejects.toThrow("[connect/access_revoked]");
});

test("a right to read that is taken away ends a load that reads nothing just now", async () => {
  await using source = customer.open({ accessCheckMs: 40 });
  const object = await pin(source, "data.bin");
  expect((await collect(source.read(object, { start: 0, end: 10 }))).length).toBe(10);
  const revoked = new Promise((resolve) => source.revoked.addEventListener("abort", resolve));
  await customer.aws.faults.add({ operation: "HeadObject", effect: { kind: "revoke-access" } });
  await revoked;
  await expect(collect(source.read(object, { start: 10, end: 20 }))).rejects.toThrow(
    "[connect/access_revoked] the right to read was withdrawn: the store refuses",
  );
});

test("a refusal that is not repeated, and a store that fails, revoke nothing", async () => {
  await using source = customer.open({ accessCheckMs: 20, idleTimeoutMs: 300 });
  const object = await pin(source, "data.bin");
  const refused = await customer.aws.faults.add({
    operation: "HeadObject",
    effect: { kind: "revoke-access" },
    times: 1,
  });
  const failed = await customer.aws.faults.add({
    operation: "HeadObject",
    effect: { kind: "error", code: "InternalError" },
    times: 2,
  });
  await stallAfter(1_000);
  expect(await collect(source.read(object))).toEqual(content);
  const counts = await customer.aws.faults.counts();
  expect([counts[refused], counts[failed]]).toEqual([1, 2]);
  expect(source.revoked.aborted).toBe(false);
});
