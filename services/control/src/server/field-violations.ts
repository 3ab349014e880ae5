import type { DescMessage, Message } from "@bufbuild/protobuf";
import { parsePath, pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, Violation, violationsToProto } from "@bufbuild/protovalidate";
import { Code, ConnectError } from "@connectrpc/connect";
import { hasMoreItems } from "./item-count.ts";

/** What is wrong with one field of a request. */
export interface FieldFault {
  /** From the request's message, as in `feed.spec.fields[2].type`. */
  readonly path: string;
  /** Stable, lower snake case: what went wrong, for programs. */
  readonly rule: string;
  /** What went wrong, for people. Never the value of a secret. */
  readonly message: string;
}

/** Fields that a message names; the rest is in the details. */
const NAMED_FIELDS = 5;
/** Violations that the detail holds; more help nobody, and an answer has to stay short. */
const TOLD_FIELDS = 50;

/** Requests with more items are judged by the first thing that is wrong with them: a list of all took the memory of many. */
const MANY_ITEMS = 2_000;

const validator = createValidator();
const hastyValidator = createValidator({ failFast: true });

/** Whether only the first violation of a message is looked for. */
export function isJudgedHastily(schema: DescMessage, message: Message): boolean {
  return hasMoreItems(schema, message, MANY_ITEMS);
}

/**
 * The violations of a message's own rules (buf.validate), told apart from a rule that can't be
 * evaluated, which is a fault of this program and thrown.
 */
export function violationsOf(schema: DescMessage, message: Message): Violation[] {
  const judge = isJudgedHastily(schema, message) ? hastyValidator : validator;
  const result = judge.validate(schema, message);
  switch (result.kind) {
    case "valid":
      return [];
    case "invalid":
      return result.violations;
    case "error":
      throw result.error;
  }
}

/** Violations of a message that stands below `prefix` in the request. */
export function violationsBelow(
  request: DescMessage,
  prefix: string,
  schema: DescMessage,
  message: Message,
): Violation[] {
  const base = parsePath(request, prefix);
  return violationsOf(schema, message).map(
    (violation) =>
      new Violation(
        violation.message,
        violation.ruleId,
        [...base, ...violation.field],
        violation.rule,
        violation.forKey,
      ),
  );
}

export function toViolation(request: DescMessage, fault: FieldFault): Violation {
  return new Violation(fault.message, fault.rule, parsePath(request, fault.path), [], false);
}

/**
 * INVALID_ARGUMENT for a request. The message names the fields, for whoever reads it in a terminal;
 * the detail, buf.validate.Violations, has them for programs, fifty at most.
 */
export function invalidRequest(violations: readonly Violation[]): ConnectError {
  const named = violations.slice(0, NAMED_FIELDS).map((violation) => violation.toString());
  const rest = violations.length - named.length;
  const [value, desc] = violationsToProto(violations.slice(0, TOLD_FIELDS));
  return new ConnectError(
    named.join("; ") + (rest > 0 ? `; and ${rest} more` : ""),
    Code.InvalidArgument,
    undefined,
    [{ desc, value }],
  );
}

/** Throws INVALID_ARGUMENT for one field. */
export function refuseField(
  request: DescMessage,
  path: string,
  rule: string,
  message: string,
): never {
  throw invalidRequest([toViolation(request, { path, rule, message })]);
}

/** Whether a violation concerns something inside the field, rather than the field's absence. */
export function isInside(violation: Violation, field: string): boolean {
  return pathToString(violation.field).startsWith(`${field}.`);
}
