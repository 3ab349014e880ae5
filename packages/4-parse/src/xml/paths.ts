import { StageError } from "@sluice/errors";
import { parseFieldPath, type WantedField } from "@sluice/schema";
import { fold, type Names } from "./names.ts";
import { findMember, type Node, ownText, TEXT_STEP, type Value } from "./node.ts";
import { isList } from "./to-json.ts";

/**
 * A step of a path: to a member by the number of its name (`last`: where it stood last), to a place in a list, or
 * to an element's own text.
 */
export type Step =
  | { readonly kind: "member"; readonly number: number; last: number }
  | { readonly kind: "place"; readonly place: number }
  | { readonly kind: "text" };

/** Where a field's value is looked for. */
export interface FieldSteps {
  /** How many steps of explodePath it begins with: the remaining ones go on from that element. */
  readonly shared: number;
  readonly steps: readonly Step[];
}

/** Turns the wanted fields into steps; throws `parse.unsupported_feature` for a text that is no path. */
export function toFieldSteps(
  fields: readonly WantedField[],
  explodePath: readonly (string | number)[],
  names: Names,
): FieldSteps[] {
  return fields.map(({ incomingName, path }) => {
    const whole = wholePath(incomingName, path);
    const shared = countShared(whole, explodePath);
    return { shared, steps: toSteps(whole.slice(shared), names) };
  });
}

/** Without a path a member of the record; the empty path is the record itself. */
function wholePath(incomingName: string, path: string | undefined): readonly (string | number)[] {
  if (path === undefined) return [incomingName];
  return path === "" ? [] : readPath(path, "a field's path");
}

export function readPath(text: string, what: string): readonly (string | number)[] {
  try {
    return parseFieldPath(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "not a path";
    throw new StageError("parse", "unsupported_feature", `XML: ${what}: ${reason}`, { cause });
  }
}

export function toSteps(path: readonly (string | number)[], names: Names): Step[] {
  return path.map((step) => {
    if (typeof step === "number") return { kind: "place", place: step };
    return step === TEXT_STEP
      ? { kind: "text" }
      : { kind: "member", number: names.step(step), last: 0 };
  });
}

/**
 * The value at the end of the steps from `at` on; undefined when there is none. A step through a repeated
 * element without a place goes through all of its elements: the value is the list of what they have, null where
 * one has nothing; undefined when none has anything. One element counts as a list of itself.
 */
export function follow(
  value: Value | undefined,
  steps: readonly Step[],
  at: number,
): Value | undefined {
  let here = value;
  for (let i = at; i < steps.length; i++) {
    const step = steps[i] as Step;
    if (here === undefined) return undefined;
    if (here === null || typeof here === "string") {
      if (step.kind === "member" || (step.kind === "place" && step.place > 0)) return undefined;
    } else if (isList(here)) {
      if (step.kind !== "place") return followAll(here, steps, i);
      here = here[step.place];
    } else here = stepInto(here, step);
  }
  return here;
}

function followAll(list: readonly Value[], steps: readonly Step[], at: number): Value | undefined {
  const found = list.map((value) => follow(value, steps, at));
  if (found.every((value) => value === undefined)) return undefined;
  return found.map((value) => value ?? null);
}

function stepInto(node: Node, step: Step): Value | undefined {
  if (step.kind === "member") {
    const at = findMember(node, step.number, step.last);
    if (at < 0) return undefined;
    step.last = at;
    return node.values[at];
  }
  if (step.kind === "text") return ownText(node);
  return step.place === 0 ? node : undefined;
}

function countShared(
  path: readonly (string | number)[],
  other: readonly (string | number)[],
): number {
  let count = 0;
  while (count < Math.min(path.length, other.length)) {
    const [own, its] = [path[count], other[count]];
    const isAlike =
      typeof own === "string" && typeof its === "string" ? fold(own) === fold(its) : own === its;
    if (!isAlike) break;
    count++;
  }
  return count;
}
