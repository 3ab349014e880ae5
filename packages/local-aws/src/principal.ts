import type { Role, User } from "./accounts.ts";
import { evaluatePolicy, type PolicyDocument, type PolicyRequest } from "./policy.ts";

/** A role's session, as its token states it. */
export interface Session {
  readonly accessKeyId: string;
  readonly roleArn: string;
  readonly roleId: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly policy?: PolicyDocument;
}

/** Who signed a request. */
export type Principal =
  | { readonly kind: "user"; readonly user: User }
  | { readonly kind: "session"; readonly role: Role; readonly session: Session };

export function principalArn(principal: Principal): string {
  if (principal.kind === "user") return principal.user.arn;
  const { role, session } = principal;
  return `arn:aws:sts::${role.accountId}:assumed-role/${role.name}/${session.name}`;
}

export function principalAccount(principal: Principal): string {
  return principal.kind === "user" ? principal.user.accountId : principal.role.accountId;
}

/** The ARNs that a trust policy may name this caller by: a session answers to its role's name too. */
export function principalNames(principal: Principal): readonly string[] {
  const own = principalArn(principal);
  return principal.kind === "user" ? [own] : [own, principal.role.arn];
}

/** Whether the caller's own policies allow a request; a session is held by its role's policy and by its own. */
export function evaluateIdentity(
  principal: Principal,
  request: PolicyRequest,
): "allow" | "deny" | "none" {
  const withContext: PolicyRequest = {
    ...request,
    context: { ...principalContext(principal), ...request.context },
  };
  if (principal.kind === "user") {
    if (principal.user.isRoot) return "allow";
    return principal.user.policy === undefined
      ? "none"
      : evaluatePolicy(principal.user.policy, withContext);
  }
  const byRole = evaluatePolicy(principal.role.policy, withContext);
  if (principal.session.policy === undefined || byRole !== "allow") return byRole;
  return evaluatePolicy(principal.session.policy, withContext);
}

function principalContext(principal: Principal): Record<string, string> {
  const common = {
    "aws:principalarn": principal.kind === "user" ? principal.user.arn : principal.role.arn,
    "aws:principalaccount": principalAccount(principal),
    "aws:securetransport": "false",
  };
  if (principal.kind === "user") return common;
  return {
    ...common,
    "aws:tokenissuetime": new Date(principal.session.issuedAt).toISOString(),
  };
}
