import type { Accounts } from "./accounts.ts";
import type { HttpRequest } from "./http-request.ts";
import type { Principal } from "./principal.ts";
import { S3Error } from "./s3-error.ts";
import { openSession, sessionSecretKey } from "./session-token.ts";
import {
  type CredentialScope,
  canonicalRequest,
  parseTimestamp,
  requestSignature,
  type SigningContext,
  signaturesEqual,
  signingKey,
} from "./sigv4.ts";

/** A request whose signature was checked. */
export interface Authentication {
  readonly principal: Principal;
  readonly scope: CredentialScope;
  readonly signing: SigningContext;
  /** The value of x-amz-content-sha256, or what stands for it. */
  readonly payloadHash: string;
}

const MAX_SKEW_MS = 15 * 60_000;
const MAX_PRESIGNED_SECONDS = 604_800;

interface Claim {
  readonly accessKeyId: string;
  readonly scope: CredentialScope;
  readonly timestamp: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly token: string | undefined;
  readonly payloadHash: string;
  /** Only of a presigned URL. */
  readonly expiresSeconds?: number;
}

/**
 * Checks a SigV4 signature in the Authorization header or in the query string ("Authenticating Requests (AWS
 * Signature Version 4)"). `bodyHash` is given for services that sign the body without saying its hash (STS).
 */
export function authenticate(
  request: HttpRequest,
  accounts: Accounts,
  nowMs: number,
  bodyHash?: string,
): Authentication {
  const claim = readClaim(request, bodyHash);
  assertInTime(claim, nowMs);
  const { principal, secretAccessKey, expired } = resolve(claim, accounts, nowMs);
  const key = signingKey(secretAccessKey, claim.scope);
  const canonical = canonicalRequest({
    method: request.method,
    path: request.path,
    query: request.query.filter(([name]) => name !== "X-Amz-Signature"),
    headers: claim.signedHeaders.map((name) => [name, request.headers.get(name) ?? ""]),
    payloadHash: claim.payloadHash,
    encodesPathTwice: claim.scope.service !== "s3",
  });
  const { signature, stringToSign } = requestSignature(
    key,
    claim.timestamp,
    claim.scope,
    canonical,
  );
  if (!signaturesEqual(signature, claim.signature)) {
    throw new S3Error(
      "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
      {
        detail: {
          AWSAccessKeyId: claim.accessKeyId,
          StringToSign: stringToSign,
          SignatureProvided: claim.signature,
          CanonicalRequest: canonical,
        },
      },
    );
  }
  if (expired) throw new S3Error("ExpiredToken", "The provided token has expired.");
  const signing = {
    key,
    timestamp: claim.timestamp,
    scope: claim.scope,
    seedSignature: signature,
  };
  return { principal, scope: claim.scope, signing, payloadHash: claim.payloadHash };
}

/** The service that a request claims to be signed for, without any check; undefined for an anonymous one. */
export function claimedService(request: HttpRequest): string | undefined {
  const credential = /Credential=([^,\s]+)/.exec(request.headers.get("authorization") ?? "")?.[1];
  return (credential ?? queryValue(request, "X-Amz-Credential"))?.split("/").at(-2);
}

function readClaim(request: HttpRequest, bodyHash: string | undefined): Claim {
  const header = request.headers.get("authorization");
  if (header?.startsWith("AWS ") || queryValue(request, "AWSAccessKeyId") !== undefined) {
    throw new S3Error(
      "InvalidRequest",
      "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    );
  }
  if (header !== undefined) return readHeaderClaim(request, header, bodyHash);
  if (queryValue(request, "X-Amz-Algorithm") !== undefined) return readQueryClaim(request);
  throw new S3Error("AccessDenied", "Access Denied");
}

function readHeaderClaim(
  request: HttpRequest,
  header: string,
  bodyHash: string | undefined,
): Claim {
  const match =
    /^AWS4-HMAC-SHA256\s+Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]+)\s*$/.exec(
      header,
    );
  if (match === null) {
    throw new S3Error("AuthorizationHeaderMalformed", "The authorization header is malformed.");
  }
  const [, credential = "", signed = "", signature = ""] = match;
  const payloadHash = bodyHash ?? request.headers.get("x-amz-content-sha256");
  if (payloadHash === undefined) {
    throw new S3Error(
      "InvalidRequest",
      "Missing required header for this request: x-amz-content-sha256",
    );
  }
  const signedHeaders = signed.split(";");
  assertHeadersSigned(request, signedHeaders);
  return {
    ...readCredential(credential, "AuthorizationHeaderMalformed"),
    timestamp: request.headers.get("x-amz-date") ?? toTimestamp(request.headers.get("date")),
    signedHeaders,
    signature,
    token: request.headers.get("x-amz-security-token"),
    payloadHash,
  };
}

function readQueryClaim(request: HttpRequest): Claim {
  const required = (name: string): string => {
    const value = queryValue(request, name);
    if (value !== undefined) return value;
    throw new S3Error(
      "AuthorizationQueryParametersError",
      `Query-string authentication version 4 requires the ${name} parameter.`,
    );
  };
  if (required("X-Amz-Algorithm") !== "AWS4-HMAC-SHA256") {
    throw new S3Error(
      "AuthorizationQueryParametersError",
      'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"',
    );
  }
  const expiresSeconds = Number(required("X-Amz-Expires"));
  if (!(expiresSeconds >= 0 && expiresSeconds <= MAX_PRESIGNED_SECONDS)) {
    throw new S3Error(
      "AuthorizationQueryParametersError",
      "X-Amz-Expires must be between 0 and 604800 seconds",
    );
  }
  const signedHeaders = required("X-Amz-SignedHeaders").split(";");
  assertHeadersSigned(request, signedHeaders);
  return {
    ...readCredential(required("X-Amz-Credential"), "AuthorizationQueryParametersError"),
    timestamp: required("X-Amz-Date"),
    signedHeaders,
    signature: required("X-Amz-Signature"),
    token: queryValue(request, "X-Amz-Security-Token"),
    payloadHash:
      queryValue(request, "X-Amz-Content-Sha256") ??
      request.headers.get("x-amz-content-sha256") ??
      "UNSIGNED-PAYLOAD",
    expiresSeconds,
  };
}

function readCredential(
  credential: string,
  code: "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError",
): { accessKeyId: string; scope: CredentialScope } {
  const parts = credential.split("/");
  const [date = "", region = "", service = "", terminator = ""] = parts.slice(-4);
  if (parts.length < 5 || terminator !== "aws4_request" || !/^\d{8}$/.test(date)) {
    throw new S3Error(
      code,
      `The Credential is malformed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`,
    );
  }
  return { accessKeyId: parts.slice(0, -4).join("/"), scope: { date, region, service } };
}

// A header that changes the request's meaning must be under the signature, or a middleman could add it.
function assertHeadersSigned(request: HttpRequest, signedHeaders: readonly string[]): void {
  const unsigned = [...request.headers.keys()].filter(
    (name) =>
      (name === "host" || name.startsWith("x-amz-")) &&
      name !== "x-amz-content-sha256" &&
      !signedHeaders.includes(name),
  );
  if (unsigned.length === 0) return;
  throw new S3Error(
    "AccessDenied",
    "There were headers present in the request which were not signed",
    { detail: { HeadersNotSigned: unsigned.join(", ") } },
  );
}

function assertInTime(claim: Claim, nowMs: number): void {
  const signedAt = parseTimestamp(claim.timestamp);
  if (Number.isNaN(signedAt) || !claim.timestamp.startsWith(claim.scope.date)) {
    throw new S3Error(
      "AccessDenied",
      "AWS authentication requires a valid Date or x-amz-date header",
    );
  }
  if (claim.expiresSeconds !== undefined) {
    const expiresAt = signedAt + claim.expiresSeconds * 1_000;
    if (nowMs > expiresAt) {
      throw new S3Error("AccessDenied", "Request has expired", {
        detail: {
          Expires: new Date(expiresAt).toISOString(),
          ServerTime: new Date(nowMs).toISOString(),
        },
      });
    }
    if (signedAt - nowMs <= MAX_SKEW_MS) return;
  }
  if (Math.abs(nowMs - signedAt) > MAX_SKEW_MS) {
    throw new S3Error(
      "RequestTimeTooSkewed",
      "The difference between the request time and the current time is too large.",
      {
        detail: {
          RequestTime: claim.timestamp,
          ServerTime: new Date(nowMs).toISOString(),
          MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
        },
      },
    );
  }
}

function resolve(
  claim: Claim,
  accounts: Accounts,
  nowMs: number,
): { principal: Principal; secretAccessKey: string; expired: boolean } {
  const unknown = (): S3Error =>
    new S3Error(
      "InvalidAccessKeyId",
      "The AWS Access Key Id you provided does not exist in our records.",
      { detail: { AWSAccessKeyId: claim.accessKeyId } },
    );
  const user = accounts.userByAccessKey(claim.accessKeyId);
  if (claim.token === undefined) {
    if (user === undefined) throw unknown();
    return {
      principal: { kind: "user", user },
      secretAccessKey: user.secretAccessKey,
      expired: false,
    };
  }
  const session = openSession(accounts.sessionSecret, claim.token);
  if (session === undefined || session.accessKeyId !== claim.accessKeyId) {
    throw new S3Error("InvalidToken", "The provided token is malformed or otherwise invalid.", {
      detail: { "Token-0": claim.token.slice(0, 16) },
    });
  }
  const role = accounts.roleByArn(session.roleArn);
  if (role === undefined || role.id !== session.roleId) throw unknown();
  return {
    principal: { kind: "session", role, session },
    secretAccessKey: sessionSecretKey(accounts.sessionSecret, session.accessKeyId),
    expired: nowMs >= session.expiresAt,
  };
}

function queryValue(request: HttpRequest, name: string): string | undefined {
  return request.query.find(([key]) => key === name)?.[1];
}

function toTimestamp(date: string | undefined): string {
  const time = Date.parse(date ?? "");
  if (Number.isNaN(time)) return "";
  return new Date(time).toISOString().replace(/[-:]|\.\d+/g, "");
}
