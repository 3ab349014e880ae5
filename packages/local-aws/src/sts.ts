import { randomUUID } from "node:crypto";
import { type Accounts, newAccessKeyId, type Role } from "./accounts.ts";
import { evaluateTrust, type PolicyDocument, parsePolicy } from "./policy.ts";
import {
  evaluateIdentity,
  type Principal,
  principalAccount,
  principalArn,
  principalNames,
  type Session,
} from "./principal.ts";
import { sealSession, sessionSecretKey } from "./session-token.ts";
import { element, field } from "./xml.ts";

const NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/";
const MAX_CHAINED_SECONDS = 3_600;
const MAX_POLICY_CHARACTERS = 2_048;

/** A refusal by STS, whose error documents and codes are not S3's. */
export class StsError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    super(message);
    this.name = "StsError";
    this.code = code;
    this.status = status;
  }
}

export interface StsCall {
  readonly accounts: Accounts;
  readonly principal: Principal;
  /** The form's fields. */
  readonly form: ReadonlyMap<string, string>;
  readonly nowMs: number;
}

/** Answers AssumeRole or GetCallerIdentity with the XML document of the AWS Query protocol. */
export function callSts(call: StsCall): string {
  const action = call.form.get("Action");
  if (action === "AssumeRole") return assumeRole(call);
  if (action === "GetCallerIdentity") return getCallerIdentity(call);
  throw new StsError("InvalidAction", 400, `Could not find operation ${action ?? ""}`);
}

/** STS's error document. */
export function stsErrorDocument(code: string, message: string, status: number): string {
  const error = element(
    "Error",
    field("Type", status >= 500 ? "Receiver" : "Sender"),
    field("Code", code),
    field("Message", message),
  );
  return `<ErrorResponse xmlns="${NAMESPACE}">${error}${field("RequestId", randomUUID())}</ErrorResponse>`;
}

function assumeRole({ accounts, principal, form, nowMs }: StsCall): string {
  const roleArn = form.get("RoleArn") ?? "";
  const name = form.get("RoleSessionName") ?? "";
  const externalId = form.get("ExternalId");
  assertPattern("roleArn", roleArn, /^arn:aws:iam::\d{12}:role\/.+$/);
  assertPattern("roleSessionName", name, /^[\w+=,.@-]{2,64}$/);
  if (externalId !== undefined) {
    assertPattern("externalId", externalId, /^[\w+=,.@:/-]{2,1224}$/);
  }
  const policy = sessionPolicy(form.get("Policy"));
  const role = accounts.roleByArn(roleArn);
  if (role === undefined || !mayAssume(principal, role, externalId, name)) {
    throw new StsError(
      "AccessDenied",
      403,
      `User: ${principalArn(principal)} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`,
    );
  }
  const seconds = durationSeconds(form.get("DurationSeconds"), principal, role);
  // Whole seconds, as STS states them.
  const issuedAt = Math.floor(nowMs / 1_000) * 1_000;
  const session: Session = {
    accessKeyId: newAccessKeyId("ASIA"),
    roleArn: role.arn,
    roleId: role.id,
    name,
    issuedAt,
    expiresAt: issuedAt + seconds * 1_000,
    ...(policy && { policy }),
  };
  return result(
    "AssumeRole",
    element(
      "Credentials",
      field("AccessKeyId", session.accessKeyId),
      field("SecretAccessKey", sessionSecretKey(accounts.sessionSecret, session.accessKeyId)),
      field("SessionToken", sealSession(accounts.sessionSecret, session)),
      field("Expiration", new Date(session.expiresAt).toISOString().replace(".000Z", "Z")),
    ),
    element(
      "AssumedRoleUser",
      field("AssumedRoleId", `${role.id}:${name}`),
      field("Arn", principalArn({ kind: "session", role, session })),
    ),
  );
}

function getCallerIdentity({ principal }: StsCall): string {
  const id =
    principal.kind === "user"
      ? principal.user.accessKeyId
      : `${principal.role.id}:${principal.session.name}`;
  return result(
    "GetCallerIdentity",
    field("Arn", principalArn(principal)),
    field("UserId", id),
    field("Account", principalAccount(principal)),
  );
}

/**
 * Both sides must agree ("Cross-account policy evaluation logic"): the role trusts the caller, and the caller's own
 * policy allows it to assume the role. Within one account a trust policy that names the caller itself is enough.
 */
function mayAssume(
  principal: Principal,
  role: Role,
  externalId: string | undefined,
  sessionName: string,
): boolean {
  if (principal.kind === "user" && principal.user.isRoot) return false;
  const accountId = principalAccount(principal);
  const context = {
    "sts:externalid": externalId,
    "sts:rolesessionname": sessionName,
    "aws:principalarn": principal.kind === "user" ? principal.user.arn : principal.role.arn,
    "aws:principalaccount": accountId,
  };
  const trust = evaluateTrust(
    role.trustPolicy,
    { names: principalNames(principal), accountId },
    { action: "sts:AssumeRole", context },
  );
  if (trust.verdict !== "allow") return false;
  const own = evaluateIdentity(principal, {
    action: "sts:AssumeRole",
    resources: [role.arn],
    context,
  });
  if (own === "deny") return false;
  return own === "allow" || (trust.match === "principal" && accountId === role.accountId);
}

function durationSeconds(text: string | undefined, principal: Principal, role: Role): number {
  if (text === undefined) return 3_600;
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 900) {
    throw invalid("durationSeconds", "Member must have value greater than or equal to 900");
  }
  if (seconds > role.maxSessionSeconds) {
    throw new StsError(
      "ValidationError",
      400,
      "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    );
  }
  if (principal.kind === "session" && seconds > MAX_CHAINED_SECONDS) {
    throw new StsError(
      "ValidationError",
      400,
      "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
    );
  }
  return seconds;
}

function sessionPolicy(text: string | undefined): PolicyDocument | undefined {
  if (text === undefined) return undefined;
  if (text.length > MAX_POLICY_CHARACTERS) {
    throw invalid("policy", "Member must have length less than or equal to 2048");
  }
  try {
    return parsePolicy(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new StsError("MalformedPolicyDocument", 400, message);
  }
}

function assertPattern(member: string, value: string, pattern: RegExp): void {
  if (!pattern.test(value)) {
    throw invalid(member, `Member must satisfy regular expression pattern: ${pattern.source}`);
  }
}

function invalid(member: string, rule: string): StsError {
  return new StsError(
    "ValidationError",
    400,
    `1 validation error detected: Value at '${member}' failed to satisfy constraint: ${rule}`,
  );
}

function result(action: string, ...children: readonly string[]): string {
  const metadata = element("ResponseMetadata", field("RequestId", randomUUID()));
  return `<${action}Response xmlns="${NAMESPACE}">${element(`${action}Result`, ...children)}${metadata}</${action}Response>`;
}
