import type { DescMessage } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import type { Violation } from "@bufbuild/protovalidate";
import { type NewFeed, NewFeedSchema } from "@sluice/api/control/v1/courier_pb";
import { type Feed, FeedSchema, type FeedSpec, type Field } from "@sluice/api/control/v1/feed_pb";
import { databaseNameFault, sqlNameFault } from "../resources/sql-name.ts";
import {
  type FieldFault,
  invalidRequest,
  toViolation,
  violationsBelow,
} from "../server/field-violations.ts";
import { fieldPathFaults } from "./field-path-fault.ts";

const NAME_REQUIRED = "field.name_required";

/**
 * Gives every field the name it will have: its own, or the incoming one. What refers to fields refers
 * to these names.
 */
export function nameFields(spec: FeedSpec | undefined): void {
  for (const field of spec?.fields ?? []) {
    if (field.name === "") {
      field.name = field.incomingName;
    }
  }
}

/**
 * Throws INVALID_ARGUMENT naming every field of the request that is wrong with a feed. The feed is in
 * the request's field `feed`, and its fields have their names.
 */
export function assertFeed(request: DescMessage, feed: Feed): void {
  const violations = feedViolations(request, feed);
  if (violations.length > 0) {
    throw invalidRequest(violations);
  }
}

/** All that is wrong with a feed which is in the request's field `feed`, and whose fields have their names. */
export function feedViolations(request: DescMessage, feed: Feed): Violation[] {
  const rules = violationsBelow(request, "feed", FeedSchema, feed);
  return withFaults(request, rules, feed, "feed");
}

/** All that is wrong with a new feed by itself, which stands at a path of the request, and whose fields have their names. */
export function newFeedViolations(request: DescMessage, feed: NewFeed, path: string): Violation[] {
  const rules = violationsBelow(request, path, NewFeedSchema, feed);
  return withFaults(request, rules, feed, path);
}

function withFaults(
  request: DescMessage,
  rules: readonly Violation[],
  feed: Feed | NewFeed,
  at: string,
): Violation[] {
  const faults = [...nameFaults(feed, at), ...specFaults(feed.spec, `${at}.spec`)];
  const unnamed = faults.filter((fault) => fault.rule === NAME_REQUIRED).map((fault) => fault.path);
  return (
    rules
      // The name was made here: what it broke is said in words that fit the file's column.
      .filter((violation) => !unnamed.includes(pathToString(violation.field)))
      .concat(faults.map((fault) => toViolation(request, fault)))
  );
}

function nameFaults(feed: Feed | NewFeed, at: string): FieldFault[] {
  const faults: FieldFault[] = [];
  const source = feed.source === "" ? undefined : databaseNameFault(feed.source);
  if (source !== undefined) {
    faults.push({ path: `${at}.source`, rule: "feed.source", message: source });
  }
  const name = feed.name === "" ? undefined : sqlNameFault(feed.name);
  if (name !== undefined) {
    faults.push({ path: `${at}.name`, rule: "feed.name", message: name });
  }
  return faults;
}

function specFaults(spec: FeedSpec | undefined, at: string): FieldFault[] {
  if (spec === undefined) {
    return [];
  }
  const firstOf = new Map<string, number>();
  const faults = spec.fields.flatMap((field, index) => {
    const key = field.name.toLowerCase();
    const first = firstOf.get(key);
    if (first === undefined) {
      firstOf.set(key, index);
    }
    return fieldFaults(
      field,
      `${at}.fields[${index}]`,
      first === undefined ? "" : `${at}.fields[${first}]`,
    );
  });
  return [...faults, ...primaryKeyFaults(spec, at), ...lastUpdatedFaults(spec, at)];
}

/** @param first Where a field with the same name stands before; empty when none does. */
function fieldFaults(field: Field, path: string, first: string): FieldFault[] {
  const faults: FieldFault[] = [];
  if (field.name === field.incomingName && !/^[A-Za-z0-9_]*$/.test(field.name)) {
    const message =
      "the incoming name is no column name; give the field a name of letters, digits and underscores";
    faults.push({ path: `${path}.name`, rule: NAME_REQUIRED, message });
  } else if (field.name.startsWith("_")) {
    const message = "names that begin with an underscore are kept for the service's own columns";
    faults.push({ path: `${path}.name`, rule: "field.name_reserved", message });
  }
  if (first !== "") {
    const message = `${first} has this name already; case makes no difference`;
    faults.push({ path: `${path}.name`, rule: "field.name_taken", message });
  }
  const type = field.type?.type;
  if (type?.case === "decimal" && type.value.scale > type.value.precision) {
    const message = "scale is larger than precision";
    faults.push({ path: `${path}.type.decimal.scale`, rule: "decimal.scale", message });
  }
  if (field.timeZone !== "" && !isTimeZone(field.timeZone)) {
    const message = "no time zone has this name; they are written like Europe/Berlin";
    faults.push({ path: `${path}.time_zone`, rule: "field.time_zone", message });
  }
  const point = field.decimalSeparator === "" ? "." : field.decimalSeparator;
  if (field.thousandsSeparator === point) {
    const message = "the same character can't part thousands and begin the fraction";
    faults.push({ path: `${path}.thousands_separator`, rule: "field.separators", message });
  }
  const words = new Set(field.trueWords.map((word) => word.toLowerCase()));
  if (field.falseWords.some((word) => words.has(word.toLowerCase()))) {
    const message = "one word can't mean both true and false";
    faults.push({ path: `${path}.false_words`, rule: "field.words", message });
  }
  return [...faults, ...fieldPathFaults(field.path, `${path}.path`)];
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function primaryKeyFaults(spec: FeedSpec, at: string): FieldFault[] {
  const faults: FieldFault[] = [];
  for (const [index, name] of spec.primaryKey.entries()) {
    const type = spec.fields.find((field) => field.name === name)?.type?.type.case;
    if (type === "float") {
      const message = "a floating point field can't identify a row";
      faults.push({ path: `${at}.primary_key[${index}]`, rule: "primary_key.type", message });
    }
  }
  return faults;
}

function lastUpdatedFaults(spec: FeedSpec, at: string): FieldFault[] {
  if (spec.lastUpdated.case !== "lastUpdatedField") {
    return [];
  }
  const name = spec.lastUpdated.value;
  const field = spec.fields.find((each) => each.name === name);
  const path = `${at}.last_updated_field`;
  if (field === undefined || field.include === false) {
    const message = "names a field that is not there, or not included";
    return [{ path, rule: "last_updated.unknown", message }];
  }
  const type = field.type?.type.case;
  return type === "datetime" || type === "integer"
    ? []
    : [
        {
          path,
          rule: "last_updated.type",
          message: "names a field that is neither a datetime nor an integer",
        },
      ];
}
