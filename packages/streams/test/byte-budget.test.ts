import { createByteBudget } from "@sluice/streams";
import { expect, test } from "vitest";

test("grants what fits and makes the next one wait until bytes come back", async () => {
  const budget = createByteBudget(100);
  const give = await budget.lease(80);
  const order: string[] = [];
  const second = budget.lease(50).then((back) => {
    order.push("second");
    return back;
  });
  await Promise.resolve();
  expect(budget.used).toBe(80);
  order.push("first back");
  give();
  (await second)();
  expect(order).toEqual(["first back", "second"]);
  expect(budget).toMatchObject({ used: 0, peak: 80 });
});

test("serves first the one that asked first, even when a later one would fit", async () => {
  const budget = createByteBudget(100);
  const give = await budget.lease(60);
  const order: number[] = [];
  const large = budget.lease(90).then((back) => {
    order.push(90);
    back();
  });
  const small = budget.lease(10).then((back) => {
    order.push(10);
    back();
  });
  give();
  await Promise.all([large, small]);
  expect(order).toEqual([90, 10]);
});

test("grants more than the whole limit alone, once all else is back", async () => {
  const budget = createByteBudget(100);
  const give = await budget.lease(1);
  const huge = budget.lease(500);
  give();
  const back = await huge;
  expect(budget.used).toBe(500);
  back();
  back();
  expect(budget.used).toBe(0);
});

test("gives up waiting when the signal aborts, and grants the next in line", async () => {
  const budget = createByteBudget(100);
  const give = await budget.lease(100);
  const stop = new AbortController();
  const stopped = budget.lease(60, stop.signal);
  const next = budget.lease(60);
  stop.abort(new Error("stop"));
  await expect(stopped).rejects.toThrow("stop");
  give();
  (await next)();
  expect(budget.used).toBe(0);
});

test("serves what is asked for ahead before all that wait, and only where it fits", async () => {
  const budget = createByteBudget(100);
  const give = await budget.lease(90);
  const order: string[] = [];
  const queued = budget.lease(90).then((back) => {
    order.push("queued");
    return back;
  });
  const ahead = budget.leaseAhead(60).then((back) => {
    order.push("ahead");
    return back;
  });
  give();
  const backAhead = await ahead;
  // Nothing else that comes back by itself is out: the queued lease does not wait for what stays.
  const backQueued = await queued;
  expect(order).toEqual(["ahead", "queued"]);
  expect(budget.used).toBe(150);
  backQueued();
  backAhead();
});
