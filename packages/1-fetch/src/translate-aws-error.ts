import { type Coordinate, StageError, type StageErrorOptions } from "@sluice/errors";
import { type AwsAnswer, toAwsAnswer } from "./aws-answer.ts";

/** What was being done when the foreign error came: the same answer can mean different things. */
export interface Doing {
  readonly operation: "assume-role" | "reach" | "list" | "head" | "read" | "write";
  /** The region that the request was made for. */
  readonly region: string;
  readonly isAccessPoint?: boolean;
  /** Whether bytes of the object had already come: a refusal then is a withdrawal. */
  readonly hasDataFlowed?: boolean;
  readonly place?: Coordinate;
}

const EXPIRED: ReadonlySet<string> = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "TokenRefreshRequired",
]);
const BAD_IDENTITY: ReadonlySet<string> = new Set([
  ...EXPIRED,
  "InvalidAccessKeyId",
  "InvalidClientTokenId",
  "InvalidIdentityToken",
  "InvalidSecurity",
  "InvalidToken",
  "NotSignedUp",
  "SignatureDoesNotMatch",
  "UnrecognizedClientException",
  "CredentialsProviderError",
]);
const THROTTLED: ReadonlySet<string> = new Set([
  "BandwidthLimitExceeded",
  "RequestLimitExceeded",
  "RequestThrottled",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
  "TooManyRequestsException",
]);
const DENIED: ReadonlySet<string> = new Set([
  "AccessDenied",
  "AccessDeniedException",
  "AllAccessDisabled",
]);
const SKEWED: ReadonlySet<string> = new Set(["RequestTimeTooSkewed", "RequestExpired"]);
const WRONG_REGION: ReadonlySet<string> = new Set([
  "AuthorizationHeaderMalformed",
  "IllegalLocationConstraintException",
  "PermanentRedirect",
  "TemporaryRedirect",
]);

/** Whether the session in use has run out, so that a fresh one may well be let in. */
export function isExpiredSession(error: unknown): boolean {
  return EXPIRED.has(toAwsAnswer(error).code);
}

/** Whether the answer says that somebody forbids it, and not that the caller is unknown or late. */
export function isAccessDenied(error: unknown): boolean {
  return DENIED.has(toAwsAnswer(error).code);
}

/** Whether a HEAD was refused without saying why: the same thing asked by GET is answered with a code. */
export function isUnexplained(error: unknown): boolean {
  const { isBodiless, status } = toAwsAnswer(error);
  return isBodiless && status !== undefined && status >= 300 && status < 500 && status !== 412;
}

/**
 * Every error of the SDK, of a socket or of STS becomes a StageError here (FAULTS 2.7). Messages are
 * written here: text of the service may quote what was signed, and with it a session token.
 */
export function translateAwsError(error: unknown, doing: Doing): StageError {
  if (error instanceof StageError) return error;
  const answer = toAwsAnswer(error);
  const options: StageErrorOptions = {
    ...doing.place,
    cause: toSafeCause(error, answer),
    seen: toSeen(answer),
  };
  return doing.operation === "assume-role"
    ? fromSts(answer, options)
    : (fromObject(answer, doing, options) ?? fromStore(answer, doing, options));
}

function fromSts(answer: AwsAnswer, options: StageErrorOptions): StageError {
  const { code } = answer;
  // STS answers a wrong external id, a role that is gone and a trust policy that names somebody else alike.
  if (DENIED.has(code)) {
    return credentials("the role cannot be assumed: it is gone, or refuses us or the external id");
  }
  if (BAD_IDENTITY.has(code)) {
    return credentials("the identity that should assume the role is unknown, wrong or expired");
  }
  if (code === "RegionDisabledException") {
    return credentials("STS is switched off in this region for the role's account");
  }
  if (code === "MalformedPolicyDocument" || code === "PackedPolicyTooLarge") {
    return credentials("STS did not take the policy that narrows the session to the bucket");
  }
  if (code === "ValidationError" || code === "InvalidParameterValue") {
    return credentials(
      "STS did not take the role's ARN, the external id or the session's duration",
    );
  }
  return fromAnywhere(answer, "STS", options);

  function credentials(message: string): StageError {
    return new StageError("connect", "invalid_credentials", message, options);
  }
}

/** What is said about one object; undefined when it is about the bucket, the identity or the store. */
function fromObject(
  answer: AwsAnswer,
  doing: Doing,
  options: StageErrorOptions,
): StageError | undefined {
  const { code, status } = answer;
  if (doing.operation !== "read" && doing.operation !== "head") return undefined;
  if (code === "NoSuchBucket") return undefined;
  if (code === "NoSuchKey" || code === "NoSuchVersion" || status === 404) {
    const [stage, reason] = doing.operation === "read" ? DELETED : MISSING;
    return stage === "fetch"
      ? new StageError(stage, "object_deleted", reason, options)
      : new StageError(stage, "file_not_found", reason, options);
  }
  // A version that is a delete marker can be named but not read.
  if (answer.isDeleteMarker || code === "MethodNotAllowed" || status === 405) {
    return new StageError("fetch", "object_deleted", "the object was deleted", options);
  }
  if (code === "PreconditionFailed" || status === 412) {
    const message = "the object was replaced since the plan was made";
    return new StageError("fetch", "object_changed", message, options);
  }
  // If-Match held or was ignored, and still the range lies behind the end: it is another object.
  if (code === "InvalidRange" || status === 416) {
    const message = "the object is shorter than it was when the plan was made";
    return new StageError("fetch", "object_changed", message, options);
  }
  // Glacier and the archive tiers: bytes come only after a restore, which is the owner's to order.
  if (code === "InvalidObjectState") {
    const message = "the object is in an archive storage class and not restored";
    return new StageError("fetch", "object_archived", message, options);
  }
  return undefined;
}

const DELETED = ["fetch", "the object was deleted since the plan was made"] as const;
const MISSING = ["list", "there is no such object"] as const;

function fromStore(answer: AwsAnswer, doing: Doing, options: StageErrorOptions): StageError {
  const { code, status } = answer;
  if (code === "NoSuchBucket" || status === 404) {
    const message = doing.isAccessPoint
      ? "there is no such access point"
      : "there is no such bucket";
    return new StageError("connect", "bucket_not_found", message, options);
  }
  if (code === "NoSuchAccessPoint" || code === "NoSuchAccessPointAliasError") {
    const message = "there is no such access point";
    return new StageError("connect", "bucket_not_found", message, options);
  }
  if (code === "InvalidBucketName" || code === "InvalidAccessPointAliasError") {
    const message = "the store says that the bucket's name is not valid";
    return new StageError("connect", "invalid_bucket_name", message, options);
  }
  if (isWrongRegion(answer, doing)) return wrongRegion(answer, doing, options);
  if (BAD_IDENTITY.has(code)) {
    const message = EXPIRED.has(code)
      ? "the session has expired, and so had its successor"
      : "the store does not know the access key, or the secret does not belong to it";
    return new StageError("connect", "invalid_credentials", message, options);
  }
  // A 403 whose code says nothing about time: the request was understood and is not allowed.
  const isForbidden = (status === 403 || status === 401) && !SKEWED.has(code);
  if (DENIED.has(code) || isForbidden) {
    return denied(doing, options);
  }
  return fromAnywhere(answer, "the store", options);
}

function denied(doing: Doing, options: StageErrorOptions): StageError {
  if (doing.hasDataFlowed === true) {
    const message = "the store refuses to go on: the right to read was withdrawn";
    return new StageError("connect", "access_revoked", message, options);
  }
  const what = doing.operation === "list" ? "list the bucket" : "read the object";
  // S3 hides that a key is missing from whoever may not list: it answers 403 instead of 404.
  const hints = [
    ...(doing.operation === "list" || doing.operation === "reach"
      ? []
      : ["without s3:ListBucket an absent object looks the same; with KMS, kms:Decrypt is needed"]),
    ...(doing.isAccessPoint === true
      ? ["an access point for a VPC only refuses everybody else"]
      : []),
  ];
  const message = `the store does not let us ${doing.operation === "reach" ? "in" : what}`;
  return new StageError("connect", "access_denied", [message, ...hints].join("; "), options);
}

function isWrongRegion(answer: AwsAnswer, doing: Doing): boolean {
  if (WRONG_REGION.has(answer.code)) return true;
  if (answer.status === 301 || answer.status === 307) return true;
  // HeadBucket answers 400 without a body when the signature names another region.
  return answer.status === 400 && answer.region !== undefined && answer.region !== doing.region;
}

function wrongRegion(answer: AwsAnswer, doing: Doing, options: StageErrorOptions): StageError {
  const { region } = answer;
  const known = region !== undefined && region !== doing.region;
  const message = known
    ? `the bucket is in region ${region}, not in ${doing.region}`
    : `the bucket is not in region ${doing.region}`;
  return new StageError("connect", "wrong_region", message, {
    ...options,
    seen: known ? `${region} (${toSeen(answer)})` : toSeen(answer),
    expected: doing.region,
  });
}

function fromAnywhere(answer: AwsAnswer, who: string, options: StageErrorOptions): StageError {
  const { code, status } = answer;
  if (THROTTLED.has(code) || status === 429) {
    return new StageError("fetch", "throttled", `${who} asks us to slow down`, options);
  }
  // The SDK learns the service's clock from this very answer, so that the next try is signed in time.
  if (SKEWED.has(code)) {
    const message = `our clock and that of ${who} are too far apart`;
    return new StageError("connect", "source_unavailable", message, options);
  }
  // Nothing was sent, and nothing will be: what was asked for does not make a host name.
  if (code === "ERR_INVALID_URL") {
    const message = `the bucket's name and the endpoint of ${who} make no address together`;
    return new StageError("connect", "endpoint_refused", message, options);
  }
  if (code === "OutboundRefused") {
    const message = `the address of ${who} is not one of the public internet, and the operator does not allow it`;
    return new StageError("connect", "endpoint_refused", message, options);
  }
  if (status === undefined) {
    const message = `no whole answer came from ${who}`;
    return new StageError("connect", "source_unavailable", message, options);
  }
  // `RequestTimeout` is a 400 that means our side was slow; everything from 500 is theirs.
  if (status >= 500 || code === "RequestTimeout" || code === "OperationAborted") {
    return new StageError("connect", "source_unavailable", `${who} failed`, options);
  }
  const message = `${who} refused the request for a reason that we have no name for`;
  return new StageError("connect", "access_denied", message, options);
}

function toSeen({ code, status, requestId }: AwsAnswer): string {
  const parts = [
    code,
    ...(status === undefined ? [] : [`HTTP ${status}`]),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  return parts.join(", ").slice(0, 300);
}

/**
 * A cause for the engineer on call. The SDK's own error carries the answer's fields (the string to
 * sign, the access key, the session token), so it is not kept: only its text where it cannot quote them.
 */
function toSafeCause(error: unknown, answer: AwsAnswer): Error {
  const isQuoting = BAD_IDENTITY.has(answer.code) || !(error instanceof Error);
  const told = isQuoting ? answer.code : error.message.slice(0, 500);
  const cause = new Error(told.replace(/([?&]X-Amz-[^=]*=)[^&\s]*/gi, "$1***"));
  cause.name = answer.code;
  if (error instanceof Error && error.stack !== undefined) {
    // The frames alone: the first line repeats the message.
    cause.stack = `${cause.name}: ${cause.message}\n${error.stack
      .split("\n")
      .filter((line) => /^\s+at /.test(line))
      .join("\n")}`;
  }
  return cause;
}
