import { randomUUID } from "node:crypto";
import { GetObjectCommand, HeadBucketCommand } from "@aws-sdk/client-s3";
import { StageError } from "@sluice/errors";
import type { ListedObject } from "@sluice/schema";
import { closeBody } from "./body.ts";
import { listPage } from "./list.ts";
import type { Access } from "./options.ts";
import { request, type Store, toDoing } from "./store.ts";
import { isUnexplained } from "./translate-aws-error.ts";

/** The checks of a connection, in their order. */
export const CONNECTION_CHECKS = [
  "ASSUME_ROLE",
  "REACH_BUCKET",
  "LIST",
  "READ",
  "REFUSES_WRONG_EXTERNAL_ID",
] as const;
export type ConnectionCheckName = (typeof CONNECTION_CHECKS)[number];

export interface ConnectionCheck {
  readonly check: ConnectionCheckName;
  /** Skipped: does not apply, or an earlier check failed. Warning: data can be read, but somebody should look. */
  readonly outcome: "ok" | "warning" | "failed" | "skipped";
  /** Present when the check failed or warns. */
  readonly error?: StageError;
}

type Verdict = "ok" | "skipped";

/** Runs the checks of a connection; after the first that fails, the others are skipped. */
export async function testConnection(
  store: Store,
  access: Access,
  signal: AbortSignal | undefined,
): Promise<readonly ConnectionCheck[]> {
  let listed: readonly ListedObject[] = [];
  const run: Record<ConnectionCheckName, () => Promise<Verdict>> = {
    ASSUME_ROLE: async () => {
      if (access.kind === "key") return "skipped";
      // A session from before the customer's last change would prove nothing.
      store.session.renew();
      await store.session.client();
      return "ok";
    },
    REACH_BUCKET: async () => await reachBucket(store, signal),
    LIST: async () => {
      ({ objects: listed } = await listPage(store, signal === undefined ? {} : { signal }));
      return "ok";
    },
    READ: async () => await readFirstByte(store, listed, signal),
    REFUSES_WRONG_EXTERNAL_ID: async () =>
      access.kind === "key" ? "skipped" : await refusesOthers(store),
  };

  const checks: ConnectionCheck[] = [];
  let hasFailed = false;
  for (const check of CONNECTION_CHECKS) {
    if (hasFailed) {
      checks.push({ check, outcome: "skipped" });
      continue;
    }
    try {
      signal?.throwIfAborted();
      checks.push({ check, outcome: await run[check]() });
    } catch (error) {
      // Anything else is the caller's abort or a defect: not a verdict on the connection.
      if (!(error instanceof StageError)) throw error;
      // An open role lets us in, and others: the customer is told, and nobody is kept from the data.
      if (error.code === "trust_policy_open") {
        checks.push({ check, outcome: "warning", error });
        continue;
      }
      hasFailed = true;
      checks.push({ check, outcome: "failed", error });
    }
  }
  return checks;
}

/** Whether the bucket is there, in this region, and knows who we are; the right to list is the next check's. */
async function reachBucket(store: Store, signal: AbortSignal | undefined): Promise<Verdict> {
  const input = { Bucket: store.bucket.name };
  await request(store, toDoing(store, "reach"), signal, async (client, abortSignal) => {
    try {
      await client.send(new HeadBucketCommand(input), { abortSignal });
    } catch (error) {
      if (!isUnexplained(error)) throw error;
    }
  });
  try {
    // A HEAD that was refused has no code; a listing's refusal has.
    await listPage(store, { pageSize: 1, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if (!(error instanceof StageError && error.code === "access_denied")) throw error;
  }
  return "ok";
}

async function readFirstByte(
  store: Store,
  listed: readonly ListedObject[],
  signal: AbortSignal | undefined,
): Promise<Verdict> {
  const isArchived = /^(GLACIER|DEEP_ARCHIVE)$/;
  const object = listed.find(
    ({ size, storageClass }) => size > 0 && !isArchived.test(storageClass),
  );
  if (object === undefined) return "skipped";
  const { key } = object;
  const input = { Bucket: store.bucket.name, Key: key, Range: "bytes=0-0" };
  await request(store, toDoing(store, "read", { key }), signal, async (client, abortSignal) => {
    const { Body } = await client.send(new GetObjectCommand(input), { abortSignal });
    closeBody(Body);
  });
  return "ok";
}

/** The confused deputy's door: whoever knows the role's ARN could have us read with it. */
async function refusesOthers(store: Store): Promise<Verdict> {
  const tries = [
    { externalId: randomUUID(), what: "with a wrong external id" },
    { externalId: undefined, what: "without any external id" },
  ] as const;
  for (const { externalId, what } of tries) {
    if (await store.session.isRefused(externalId)) continue;
    throw new StageError("connect", "trust_policy_open", `the role can be assumed ${what}`, {
      bucket: store.bucket.name,
    });
  }
  return "ok";
}
