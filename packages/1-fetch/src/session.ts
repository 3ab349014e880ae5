import { S3Client } from "@aws-sdk/client-s3";
import {
  AssumeRoleCommand,
  type AssumeRoleCommandInput,
  GetCallerIdentityCommand,
  STSClient,
} from "@aws-sdk/client-sts";
import { crashPoint, StageError } from "@sluice/errors";
import type { NodeHttpHandler } from "@smithy/node-http-handler";
import type { BucketReference } from "./bucket-name.ts";
import { assertConnectionEndpoint, assertEndpoint, toStoreEndpoint } from "./endpoint.ts";
import type { Access, Connection, Limits, Platform } from "./options.ts";
import { createPlatformSessions, type PlatformSessions } from "./platform-sessions.ts";
import { withRetries } from "./retry.ts";
import {
  isExternalIdForSts,
  isRoleArn,
  isSessionOfRole,
  parseRoleArn,
  toSessionName,
} from "./role-identifiers.ts";
import { toSessionPolicy } from "./session-policy.ts";
import { isAccessDenied, translateAwsError } from "./translate-aws-error.ts";

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface TimedKeys {
  readonly keys: Keys;
  /**
   * On the clock of `performance.now()`: the session's life is counted from when it was asked for,
   * so that a wall clock that is wrong or jumps cannot make every session look expired.
   */
  readonly refreshAtMs: number;
}

/** The right to read one bucket, kept fresh. */
export interface Session {
  readonly region: string;
  /** Whether the store has an address of its own, where everything is asked, and is not AWS. */
  readonly hasOwnEndpoint: boolean;
  /** The account of the target role; undefined with an access key. */
  readonly roleAccount: string | undefined;
  /** A client whose session is good for a while; assumes the role when there is none. */
  client(): Promise<S3Client>;
  /** A client of a session that is begun now; it takes the old one's place only if it could be had. */
  begin(): Promise<S3Client>;
  /** Has the next call of `client` begin a new session; given a client, only if that is the current one. */
  renew(stale?: S3Client): void;
  /** Whether a new session can be had at all: not with an access key. */
  readonly isRenewable: boolean;
  /** Whether the target role refuses an AssumeRole with this external id, or with none. */
  isRefused(externalId: string | undefined): Promise<boolean>;
}

/** What a session is made of. The handler belongs to the caller, who closes it. */
export interface SessionOptions {
  readonly bucket: BucketReference;
  readonly connection: Connection;
  readonly platform: Platform;
  readonly limits: Limits;
  readonly requestHandler: NodeHttpHandler;
  /** The one key that will be read, if it is one. */
  readonly key?: string | undefined;
  /** Sessions of the platform's roles that others have begun. Default: none. */
  readonly platformSessions?: PlatformSessions | undefined;
}

export function createSession(options: SessionOptions): Session {
  const { bucket, connection, platform, requestHandler } = options;
  const { access } = connection;
  const region =
    bucket.kind === "access-point-arn"
      ? bucket.region
      : (connection.region ?? platform.region ?? "us-east-1");
  if (connection.endpoint !== undefined) {
    assertConnectionEndpoint(connection.endpoint, platform.allowedHosts ?? new Set());
  }
  const given = connection.endpoint ?? platform.s3Endpoint;
  const endpoint = given === undefined ? undefined : toStoreEndpoint(given, bucket);
  if (platform.stsEndpoint !== undefined) assertEndpoint(platform.stsEndpoint);

  const clientFor = (keys: Keys | undefined): S3Client =>
    new S3Client({
      region,
      ...(keys === undefined ? {} : { credentials: keys }),
      requestHandler,
      ...(endpoint === undefined ? {} : { endpoint }),
      forcePathStyle: endpoint !== undefined && bucket.kind !== "access-point-arn",
      // One place decides about trying again, and it is not the SDK.
      maxAttempts: 1,
      followRegionRedirects: false,
      useArnRegion: true,
      // An address in the environment must not redirect a customer's data.
      ignoreConfiguredEndpointUrls: true,
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
    });

  if (access.kind !== "role") {
    const client = clientFor(access.kind === "key" ? access : platform.credentials);
    return {
      region,
      hasOwnEndpoint: endpoint !== undefined,
      roleAccount: undefined,
      isRenewable: false,
      client: async () => client,
      begin: async () => client,
      renew: () => {},
      isRefused: async () => true,
    };
  }

  const role = createRoleSession({ ...options, access, region });
  let current: { readonly client: S3Client; readonly refreshAtMs: number } | undefined;
  let pending: Promise<S3Client> | undefined;
  const begin = async (): Promise<S3Client> => {
    try {
      const { keys, refreshAtMs } = await role.assumeTarget();
      crashPoint("fetch-session-begun");
      current = { client: clientFor(keys), refreshAtMs };
      return current.client;
    } finally {
      pending = undefined;
    }
  };
  return {
    region,
    hasOwnEndpoint: endpoint !== undefined,
    roleAccount: parseRoleArn(access.targetRoleArn)?.account,
    isRenewable: true,
    async client() {
      if (current !== undefined && performance.now() < current.refreshAtMs) return current.client;
      pending ??= begin();
      return await pending;
    },
    begin,
    renew(stale) {
      if (stale === undefined || current?.client === stale) current = undefined;
    },
    isRefused: role.isRefused,
  };
}

interface RoleSessionOptions extends SessionOptions {
  readonly access: Access & { readonly kind: "role" };
  readonly region: string;
}

interface RoleSession {
  assumeTarget(): Promise<TimedKeys>;
  isRefused(externalId: string | undefined): Promise<boolean>;
}

function createRoleSession(options: RoleSessionOptions): RoleSession {
  const { access, bucket, region, platform, limits, requestHandler } = options;
  const { targetRoleArn, externalId, platformRoleArn } = access;
  assertRole("target", targetRoleArn);
  if (platformRoleArn !== undefined) assertRole("platform", platformRoleArn);
  // Never optional: without it the role would be assumed for whoever names it to us.
  if (!isExternalIdForSts(externalId)) {
    throw new StageError("connect", "invalid_credentials", "the external id is not valid", {
      expected: "2 to 1,224 letters, digits and + = , . @ : / -",
    });
  }
  const partition = parseRoleArn(targetRoleArn)?.partition ?? "aws";
  const sessionName = toSessionName(access.sessionName);

  const stsRegion = platform.stsEndpoint === undefined ? region : (platform.region ?? region);
  const clientFor = (keys: Keys | undefined): STSClient =>
    new STSClient({
      region: stsRegion,
      requestHandler,
      ...(keys === undefined ? {} : { credentials: keys }),
      ...(platform.stsEndpoint === undefined ? {} : { endpoint: platform.stsEndpoint }),
      maxAttempts: 1,
      ignoreConfiguredEndpointUrls: true,
    });
  const base = clientFor(platform.credentials);

  const ask = async <T>(attempt: (abortSignal: AbortSignal) => Promise<T>): Promise<T> =>
    await withRetries(
      limits,
      undefined,
      async () => await attempt(AbortSignal.timeout(limits.idleTimeoutMs)),
      (error) => translateAwsError(error, { operation: "assume-role", region }),
    );

  const assume = async (sts: STSClient, input: AssumeRoleCommandInput): Promise<TimedKeys> => {
    const askedAtMs = performance.now();
    const { Credentials } = await ask(
      async (abortSignal) => await sts.send(new AssumeRoleCommand(input), { abortSignal }),
    );
    const { AccessKeyId, SecretAccessKey, SessionToken } = Credentials ?? {};
    if (!AccessKeyId || !SecretAccessKey || !SessionToken) {
      throw new StageError("connect", "source_unavailable", "STS gave no session");
    }
    // A fifth of the life is left when the next session is asked for: nobody waits on an expired one.
    const refreshAtMs = askedAtMs + (input.DurationSeconds ?? 900) * 800;
    const keys = {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
    };
    return { keys, refreshAtMs };
  };

  const identity = (options.platformSessions ?? createPlatformSessions()).of({
    platformRoleArn: platformRoleArn ?? "",
    sessionName,
    region: stsRegion,
    stsEndpoint: platform.stsEndpoint,
    accessKeyId: platform.credentials?.accessKeyId,
  });
  interface Caller {
    readonly sts: STSClient;
    /** The platform role's session that it asks with; undefined when the base identity asks itself. */
    readonly session: TimedKeys | undefined;
  }
  /** A client is this source's own, as its sockets are. */
  let platformCaller: Caller | undefined;
  const caller = async (): Promise<Caller> => {
    const asBase = { sts: base, session: undefined };
    if (platformRoleArn === undefined) return asBase;
    if (identity.isPlatformRole === undefined) {
      const { Arn } = await ask(
        async (abortSignal) => await base.send(new GetCallerIdentityCommand({}), { abortSignal }),
      );
      identity.isPlatformRole = Arn !== undefined && isSessionOfRole(Arn, platformRoleArn);
    }
    if (identity.isPlatformRole) return asBase;
    let { session } = identity;
    if (session === undefined || performance.now() >= session.refreshAtMs) {
      session = await assume(base, {
        RoleArn: platformRoleArn,
        RoleSessionName: sessionName,
        DurationSeconds: 900,
      });
      identity.session = session;
    }
    if (platformCaller?.session !== session) {
      platformCaller = { sts: clientFor(session.keys), session };
    }
    return platformCaller;
  };

  const target = {
    RoleArn: targetRoleArn,
    RoleSessionName: sessionName,
    DurationSeconds: limits.sessionSeconds,
    Policy: toSessionPolicy(bucket, partition, options.key),
  } as const;
  return {
    async assumeTarget() {
      const input = { ...target, ExternalId: externalId };
      const kept = identity.session;
      const { sts, session } = await caller();
      try {
        return await assume(sts, input);
      } catch (error) {
        const isRefusal = error instanceof StageError && error.code === "invalid_credentials";
        if (!isRefusal || session === undefined || session !== kept) throw error;
        // What was refused may be the platform role's session, kept from the last time.
        if (identity.session === session) identity.session = undefined;
        return await assume((await caller()).sts, input);
      }
    },
    async isRefused(otherExternalId) {
      const { sts } = await caller();
      const command = new AssumeRoleCommand({
        ...target,
        DurationSeconds: 900,
        ...(otherExternalId === undefined ? {} : { ExternalId: otherExternalId }),
      });
      return await ask(async (abortSignal) => {
        try {
          await sts.send(command, { abortSignal });
          return false;
        } catch (error) {
          // Only this says that the role does not want us: an expired identity proves nothing.
          if (isAccessDenied(error)) return true;
          throw error;
        }
      });
    },
  };
}

function assertRole(which: string, arn: string): void {
  if (isRoleArn(arn)) return;
  throw new StageError("connect", "invalid_credentials", `the ${which} role's ARN is not valid`, {
    seen: arn.slice(0, 100).replace(/[^\x20-\x7e]/g, "?"),
    expected: "arn:aws:iam::<account>:role/<name>",
  });
}
