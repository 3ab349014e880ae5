import { wildcard } from "./wildcard.ts";

/** IAM policy documents: reading them, and the evaluation of identity, session and trust policies. */

type OneOrMany = string | readonly string[];

export interface PolicyStatement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: "*" | Readonly<Record<string, OneOrMany>>;
  readonly Action?: OneOrMany;
  readonly NotAction?: OneOrMany;
  readonly Resource?: OneOrMany;
  readonly NotResource?: OneOrMany;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMany>>>>;
}

export interface PolicyDocument {
  readonly Version?: string;
  readonly Id?: string;
  readonly Statement: PolicyStatement | readonly PolicyStatement[];
}

/** Condition keys of a request, in lower case; an absent key is absent. */
type PolicyContext = Readonly<Record<string, string | undefined>>;

export interface PolicyRequest {
  readonly action: string;
  /** Every name of the resource; a statement matches when it matches one of them. */
  readonly resources: readonly string[];
  readonly context: PolicyContext;
}

export type Verdict = "allow" | "deny" | "none";

/** Parses and checks a policy's JSON; the message of the error says what is wrong with it. */
export function parsePolicy(text: string): PolicyDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TypeError("the policy is not JSON", { cause });
  }
  return assertPolicy(value);
}

/** Checks the shape of a policy document given as an object. */
export function assertPolicy(value: unknown): PolicyDocument {
  if (!isRecord(value) || value.Statement === undefined) {
    throw new TypeError("a policy must have a Statement");
  }
  const statements = Array.isArray(value.Statement) ? value.Statement : [value.Statement];
  for (const statement of statements) {
    if (!isRecord(statement) || !["Allow", "Deny"].includes(String(statement.Effect))) {
      throw new TypeError("a statement's Effect must be Allow or Deny");
    }
    if (statement.Action === undefined && statement.NotAction === undefined) {
      throw new TypeError("a statement must have an Action or a NotAction");
    }
  }
  return value as Record<string, unknown> & PolicyDocument;
}

/** What an identity or session policy says of a request: an explicit denial wins over any allowance. */
export function evaluatePolicy(policy: PolicyDocument, request: PolicyRequest): Verdict {
  return evaluate(policy, request, (statement) => resourceMatches(statement, request.resources));
}

/** How a trust policy's statement named the caller; `account` delegates to the caller's own policy. */
export type TrustMatch = "principal" | "account";

/**
 * What a role's trust policy says of a caller. `names` are the ARNs that stand for the caller itself, `accountId` its
 * account. The match tells whether an allowing statement named the caller or only its account.
 */
export function evaluateTrust(
  policy: PolicyDocument,
  caller: { readonly names: readonly string[]; readonly accountId: string },
  request: Omit<PolicyRequest, "resources">,
): { readonly verdict: Verdict; readonly match: TrustMatch } {
  let match: TrustMatch = "account";
  const verdict = evaluate(policy, { ...request, resources: [] }, (statement) => {
    const found = principalMatches(statement, caller);
    if (found === "principal" && statement.Effect === "Allow") match = "principal";
    return found !== undefined;
  });
  return { verdict, match };
}

function evaluate(
  policy: PolicyDocument,
  request: PolicyRequest,
  applies: (statement: PolicyStatement) => boolean,
): Verdict {
  const statements = Array.isArray(policy.Statement) ? policy.Statement : [policy.Statement];
  let verdict: Verdict = "none";
  for (const statement of statements as readonly PolicyStatement[]) {
    if (!actionMatches(statement, request.action)) continue;
    if (!conditionHolds(statement, request.context)) continue;
    if (!applies(statement)) continue;
    if (statement.Effect === "Deny") return "deny";
    verdict = "allow";
  }
  return verdict;
}

function actionMatches(statement: PolicyStatement, action: string): boolean {
  const matches = (patterns: OneOrMany): boolean =>
    many(patterns).some((pattern) => wildcard(pattern.toLowerCase(), action.toLowerCase()));
  if (statement.Action !== undefined) return matches(statement.Action);
  return statement.NotAction !== undefined && !matches(statement.NotAction);
}

function resourceMatches(statement: PolicyStatement, resources: readonly string[]): boolean {
  const matches = (patterns: OneOrMany): boolean =>
    many(patterns).some((pattern) => resources.some((resource) => wildcard(pattern, resource)));
  if (statement.Resource !== undefined) return matches(statement.Resource);
  return statement.NotResource !== undefined && !matches(statement.NotResource);
}

function principalMatches(
  statement: PolicyStatement,
  caller: { readonly names: readonly string[]; readonly accountId: string },
): TrustMatch | undefined {
  const principal = statement.Principal;
  if (principal === undefined) return undefined;
  const names = principal === "*" ? ["*"] : many(principal.AWS ?? []);
  if (names.some((name) => name === "*" || caller.names.includes(name))) return "principal";
  const { accountId } = caller;
  const isAccount = names.some(
    (name) => name === accountId || name === `arn:aws:iam::${accountId}:root`,
  );
  return isAccount ? "account" : undefined;
}

type Operator = (value: string, expected: string) => boolean;

const OPERATORS: Readonly<Record<string, Operator>> = {
  StringEquals: (value, expected) => value === expected,
  StringEqualsIgnoreCase: (value, expected) => value.toLowerCase() === expected.toLowerCase(),
  StringLike: (value, expected) => wildcard(expected, value),
  ArnEquals: (value, expected) => wildcard(expected, value),
  ArnLike: (value, expected) => wildcard(expected, value),
  Bool: (value, expected) => value.toLowerCase() === expected.toLowerCase(),
  DateLessThan: (value, expected) => Date.parse(value) < Date.parse(expected),
  DateGreaterThan: (value, expected) => Date.parse(value) > Date.parse(expected),
};

const NEGATED: Readonly<Record<string, Operator>> = {
  StringNotEquals: (value, expected) => value === expected,
  StringNotLike: (value, expected) => wildcard(expected, value),
  ArnNotEquals: (value, expected) => wildcard(expected, value),
  ArnNotLike: (value, expected) => wildcard(expected, value),
};

// An operator that is not known must never widen access: an Allow under it does not hold, a Deny does.
function conditionHolds(statement: PolicyStatement, context: PolicyContext): boolean {
  for (const [name, keys] of Object.entries(statement.Condition ?? {})) {
    for (const [key, expected] of Object.entries(keys)) {
      const holds = operatorHolds(name, context[key.toLowerCase()], many(expected));
      if (holds === undefined) return statement.Effect === "Deny";
      if (!holds) return false;
    }
  }
  return true;
}

function operatorHolds(
  name: string,
  value: string | undefined,
  expected: readonly string[],
): boolean | undefined {
  if (name === "Null") return expected.some((text) => (text === "true") === (value === undefined));
  const bare = name.endsWith("IfExists") ? name.slice(0, -"IfExists".length) : name;
  const positive = OPERATORS[bare];
  const negative = NEGATED[bare];
  if (positive === undefined && negative === undefined) return undefined;
  if (value === undefined) return bare !== name || negative !== undefined;
  if (positive !== undefined) return expected.some((text) => positive(value, text));
  return negative !== undefined && !expected.some((text) => negative(value, text));
}

function many(value: OneOrMany): readonly string[] {
  return typeof value === "string" ? [value] : Array.isArray(value) ? value : [String(value)];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
