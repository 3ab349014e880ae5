import { StageError } from "@sluice/errors";
import { TEXT_STEP } from "./node.ts";
import { readPath } from "./paths.ts";

/** Which elements are records, told tag by tag; inside of a record it is not asked. */
export interface RecordPath {
  /** An element at this depth (the root's is 1) opens. Whether it is a record. */
  open(name: string, depth: number): boolean;
  /** The element at this depth, which is no record and in none, closes. */
  close(depth: number): void;
  /** Whether records stand right inside of the element at this depth, the innermost that is open: those whose names fit. */
  holdsRecords(depth: number): boolean;
  /** Whether the name is a record's, where there are records. */
  fits(name: string): boolean;
}

/**
 * One step is a name wherever it stands; several lead from the root. Names are compared as they are spelled, since
 * XML tells capitals from small letters; a step without a prefix fits names with any prefix. Throws
 * `parse.unsupported_feature` for what names no element.
 */
export function toRecordPath(rowElement: string): RecordPath {
  const steps: string[] = [];
  for (const step of readPath(rowElement, "rowElement")) {
    if (typeof step === "number" || step.startsWith("@") || step === TEXT_STEP) {
      const message = "XML: rowElement: names of elements alone lead to a record";
      throw new StageError("parse", "unsupported_feature", message);
    }
    steps.push(step);
  }
  const [only] = steps;
  if (steps.length === 1 && only !== undefined) {
    return {
      open: (name) => fits(name, only),
      close: () => {},
      holdsRecords: () => true,
      fits: (name) => fits(name, only),
    };
  }
  const last = steps.at(-1) ?? "";
  let matched = 0;
  return {
    open(name, depth) {
      if (matched !== depth - 1) return false;
      const step = steps[depth - 1];
      if (step === undefined || !fits(name, step)) return false;
      if (depth === steps.length) return true;
      matched = depth;
      return false;
    },
    close(depth) {
      matched = Math.min(matched, depth - 1);
    },
    holdsRecords: (depth) => matched === depth && depth === steps.length - 1,
    fits: (name) => fits(name, last),
  };
}

function fits(name: string, step: string): boolean {
  if (name === step) return true;
  if (!name.endsWith(step)) return false;
  return !step.includes(":") && name.charCodeAt(name.length - step.length - 1) === 0x3a;
}
