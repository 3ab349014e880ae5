import { describe, expect, it } from "vitest";
import { evaluatePolicy, evaluateTrust, type PolicyStatement, parsePolicy } from "../src/policy.ts";
import { wildcard } from "../src/wildcard.ts";

const BUCKET = "arn:aws:s3:::data";
const allow: PolicyStatement = { Effect: "Allow", Action: "s3:*", Resource: `${BUCKET}/*` };

function verdict(
  statements: PolicyStatement | PolicyStatement[],
  context: Record<string, string> = {},
  action = "s3:GetObject",
): string {
  const request = { action, resources: [`${BUCKET}/in/a.csv`], context };
  return evaluatePolicy({ Statement: statements }, request);
}

describe("an identity policy", () => {
  it("allows by wildcards of action and resource, and nothing that it does not name", () => {
    expect(verdict(allow)).toBe("allow");
    expect(verdict({ ...allow, Action: ["S3:getobject"] })).toBe("allow");
    expect(verdict({ ...allow, Action: "s3:Put*" })).toBe("none");
    expect(verdict({ ...allow, Resource: `${BUCKET}/in/?.csv` })).toBe("allow");
    expect(verdict({ ...allow, Resource: BUCKET })).toBe("none");
    expect(verdict({ Effect: "Allow", NotAction: "s3:Put*", Resource: "*" })).toBe("allow");
    expect(verdict({ Effect: "Allow", Action: "*", NotResource: `${BUCKET}/in/*` })).toBe("none");
  });

  it("denies before it allows, in whatever order", () => {
    const deny: PolicyStatement = { Effect: "Deny", Action: "s3:GetObject", Resource: "*" };
    expect(verdict([allow, deny])).toBe("deny");
    expect(verdict([deny, allow])).toBe("deny");
    expect(verdict([allow, deny], {}, "s3:PutObject")).toBe("allow");
  });

  it("takes an unknown condition operator to the safe side", () => {
    const Condition = { NumericLessThan: { "s3:max-keys": "10" } };
    expect(verdict({ ...allow, Condition }, { "s3:max-keys": "5" })).toBe("none");
    const deny: PolicyStatement = { Effect: "Deny", Action: "*", Resource: "*", Condition };
    expect(verdict([allow, deny], { "s3:max-keys": "50" })).toBe("deny");
  });

  it.each([
    ["StringEquals", "in/", { "s3:prefix": "in/" }, "allow"],
    ["StringEquals", ["x", "in/"], { "s3:prefix": "in/" }, "allow"],
    ["StringEquals", "in/", {}, "none"],
    ["StringEqualsIfExists", "in/", {}, "allow"],
    ["StringLike", "i*", { "s3:prefix": "in/" }, "allow"],
    ["StringNotEquals", "in/", { "s3:prefix": "in/" }, "none"],
    ["StringNotEquals", "in/", {}, "allow"],
    ["Null", "true", {}, "allow"],
    ["Null", "true", { "s3:prefix": "in/" }, "none"],
  ])("judges %s %j over %j: %s", (operator, expected, context, result) => {
    const Condition = { [operator]: { "s3:Prefix": expected } };
    expect(verdict({ ...allow, Condition }, context as Record<string, string>)).toBe(result);
  });

  it("denies sessions older than a time, as the console's revocation does", () => {
    const Condition = { DateLessThan: { "aws:TokenIssueTime": "2026-01-01T00:00:00Z" } };
    const revoke: PolicyStatement = { Effect: "Deny", Action: ["*"], Resource: ["*"], Condition };
    expect(verdict([allow, revoke], { "aws:tokenissuetime": "2025-12-31T23:59:59Z" })).toBe("deny");
    expect(verdict([allow, revoke], { "aws:tokenissuetime": "2026-01-01T00:00:01Z" })).toBe(
      "allow",
    );
  });

  it.each(["", "[]", "{}", '{"Statement":[{"Effect":"Maybe","Action":"*"}]}'])(
    "is refused when it is %j",
    (text) => {
      expect(() => parsePolicy(text)).toThrow(TypeError);
    },
  );
});

describe("a trust policy", () => {
  const role = "arn:aws:iam::111122223333:role/platform";
  const caller = { names: [role], accountId: "111122223333" };
  const judge = (AWS: string | string[], effect: "Allow" | "Deny" = "Allow") =>
    evaluateTrust(
      { Statement: { Effect: effect, Principal: { AWS }, Action: "sts:AssumeRole" } },
      caller,
      { action: "sts:AssumeRole", context: {} },
    );

  it.each([
    [role, "allow", "principal"],
    ["*", "allow", "principal"],
    ["arn:aws:iam::111122223333:root", "allow", "account"],
    ["111122223333", "allow", "account"],
    ["arn:aws:iam::999999999999:root", "none", "account"],
    ["arn:aws:iam::111122223333:role/plat*", "none", "account"],
  ])("that names %s: %s, by %s", (principal, expected, match) => {
    expect(judge(principal)).toEqual({ verdict: expected, match });
    expect(judge(principal, "Deny").verdict).toBe(expected === "allow" ? "deny" : "none");
  });
});

describe("a wildcard", () => {
  it.each([
    ["*", "", true],
    ["a*c", "abbc", true],
    ["a?c", "ac", false],
    ["*.csv", "x.csv.gz", false],
    ["a*b*c", "aXbXbXc", true],
    ["[a].(b)", "[a].(b)", true],
  ])("%s over %j is %s", (pattern, text, expected) => {
    expect(wildcard(pattern, text)).toBe(expected);
  });
});
