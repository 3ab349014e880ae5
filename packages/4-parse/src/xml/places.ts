import { fitOf, type Name, NO_FIT } from "./names.ts";
import type { FieldSteps } from "./paths.ts";

/** A place in a record that fields' paths lead to or through. */
export interface Place {
  /** The column that takes the element or attribute here, and the one that takes the element's own text; -1: none. */
  column: number;
  text: number;
  /** By the number of the step that leads on. */
  readonly members: Map<number, Place>;
}

/**
 * The fields' paths as a tree; undefined when a field wants more than a text that names lead to, or two want the same one. What stands there may
 * be more than a text all the same.
 */
export function toPlaces(columns: readonly FieldSteps[]): Place | undefined {
  const record = createPlace();
  for (const [column, { steps }] of columns.entries()) {
    let place = record;
    let isText = false;
    for (const step of steps) {
      if (step.kind === "place" || isText) return undefined;
      if (step.kind === "text") {
        isText = true;
        continue;
      }
      const next = place.members.get(step.number) ?? createPlace();
      place.members.set(step.number, next);
      place = next;
    }
    if (isText) {
      if (place.text >= 0) return undefined;
      place.text = column;
    } else {
      // The record itself is no text.
      if (place.column >= 0 || place === record) return undefined;
      place.column = column;
    }
  }
  return record;
}

function createPlace(): Place {
  return { column: -1, text: -1, members: new Map() };
}

/** All places, the record's first. */
export function placesOf(record: Place): Place[] {
  return [record, ...[...record.members.values()].flatMap(placesOf)];
}

/** Where a member of this name stands: undefined when no field wants it, "doubt" when it may be at several places. */
export function placeOfName({ members }: Place, name: Name): Place | "doubt" | undefined {
  let found: Place | undefined;
  for (const [step, place] of members) {
    if (fitOf(name, step) === NO_FIT) continue;
    if (found !== undefined) return "doubt";
    found = place;
  }
  return found;
}
