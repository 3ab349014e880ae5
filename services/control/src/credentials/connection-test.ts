import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import {
  type ConnectionCheck,
  ConnectionCheckSchema,
  type ConnectionStatus,
  ConnectionStatusSchema,
  ConnectionCheck_Name as Name,
  ConnectionCheck_Outcome as Outcome,
} from "@sluice/api/control/v1/credential_pb";
import { type StageFailure, StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import type { Inspector } from "../inspect.ts";
import { completeFailure, failureLabel } from "../stage-failure.ts";
import { type CredentialAccessContext, connectionOf, pgpKeysOf } from "./credential-access.ts";

/** What a connection test needs. */
export interface ConnectionTestContext extends CredentialAccessContext {
  readonly inspect: Inspector;
}

/** What failed, in words, when a check does. */
const FAILED: Record<Name, string> = {
  [Name.UNSPECIFIED]: "A check failed",
  [Name.ASSUME_ROLE]: "The target role can't be assumed",
  [Name.REACH_BUCKET]: "The bucket can't be reached",
  [Name.LIST]: "The bucket can't be listed",
  [Name.READ]: "Objects can't be read",
  [Name.REFUSES_WRONG_EXTERNAL_ID]: "The trust policy is open",
  [Name.UNLOCK_KEYS]: "The private keys can't be unlocked",
};

/**
 * Tries a credential. What does not work is part of the answer; an error means that the test could not
 * be made, UNAVAILABLE when no worker is there to make it.
 */
export async function testConnection(
  context: ConnectionTestContext,
  credential: { readonly id: string; readonly plugin: string },
): Promise<ConnectionStatus> {
  const checks =
    credential.plugin === "pgp"
      ? [await checkKeys(context, credential.id)]
      : await checkBucket(context, credential.id);
  return summarise(checks);
}

/** Status and summary follow from the checks alone. */
function summarise(checks: readonly ConnectionCheck[]): ConnectionStatus {
  const completed = checks.map((check) =>
    check.failure === undefined ? check : { ...check, failure: completeFailure(check.failure) },
  );
  const failed = completed.find((check) => check.outcome === Outcome.FAILED);
  const warning = completed.find((check) => check.outcome === Outcome.WARNING);
  const success =
    warning === undefined
      ? "Connection successful"
      : `Connection successful, with a warning: ${describe(warning)}`;
  return create(ConnectionStatusSchema, {
    summary: failed === undefined ? success : describe(failed),
    successful: failed === undefined,
    checks: completed,
    testTime: timestampFromDate(new Date()),
  });
}

function describe(check: ConnectionCheck): string {
  const what = FAILED[check.name] ?? FAILED[Name.UNSPECIFIED];
  return check.failure === undefined
    ? what
    : `${what}: ${failureLabel(check.failure)} ${check.failure.message}`;
}

async function checkBucket(context: ConnectionTestContext, id: string): Promise<ConnectionCheck[]> {
  const connection = await connectionOf(context, id);
  const { checks } = await context.inspect.call((client, options) =>
    client.testConnection({ connection }, options),
  );
  if (checks.length === 0) throw new Error("the ingest worker answered without a check");
  return checks;
}

async function checkKeys(context: ConnectionTestContext, id: string): Promise<ConnectionCheck> {
  const keys = await pgpKeysOf(context, id);
  if (keys.privateKeyBlock === "") {
    // A passphrase alone opens messages, not keys: nothing to look at until there is a message.
    return create(ConnectionCheckSchema, { name: Name.UNLOCK_KEYS, outcome: Outcome.SKIPPED });
  }
  try {
    await context.inspect.call((client, options) => client.inspectPgpKeys({ keys }, options));
    return create(ConnectionCheckSchema, { name: Name.UNLOCK_KEYS, outcome: Outcome.OK });
  } catch (error) {
    const failure = failureIn(error);
    if (failure === undefined) {
      throw error;
    }
    return create(ConnectionCheckSchema, {
      name: Name.UNLOCK_KEYS,
      outcome: Outcome.FAILED,
      failure,
    });
  }
}

/** The StageFailure that an error made by this process carries. */
function failureIn(error: unknown): StageFailure | undefined {
  if (!(error instanceof ConnectError)) {
    return undefined;
  }
  for (const detail of error.details) {
    if ("desc" in detail && detail.desc === StageFailureSchema) {
      return create(StageFailureSchema, detail.value as StageFailure);
    }
  }
  return undefined;
}
