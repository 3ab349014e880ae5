import { StageError } from "@sluice/errors";
import type { Findings, WantedField } from "@sluice/schema";
import {
  appendText,
  type BlockBuilder,
  endRecord,
  placeOf,
  setNull,
} from "../blocks/block-builder.ts";
import type { XmlLimits } from "./limits.ts";
import type { Names } from "./names.ts";
import type { Value } from "./node.ts";
import { type FieldSteps, follow, readPath, type Step, toFieldSteps, toSteps } from "./paths.ts";
import type { XmlRecord } from "./record-reader.ts";
import { createTell, IN_ELEMENT, IN_RECORD } from "./tell.ts";
import { isList, toJson } from "./to-json.ts";

/** Turns records into rows of a block. */
export interface Rows {
  /** Undefined without explodePath. Adds a record's rows one by one: each step of the iteration has added one. */
  readonly addExploded: ((record: XmlRecord, block: BlockBuilder) => Iterable<void>) | undefined;
  /** Adds a record as one row. Both throw `parse.record_too_large` with the row and the record's byte offset. */
  add(record: XmlRecord, block: BlockBuilder): void;
  /** Where each field's value is looked for; undefined with explodePath. */
  readonly columns: readonly FieldSteps[] | undefined;
  /** Says that somebody else has added so many records' rows. */
  noteRecords(count: number): void;
  /** Says that there was something for this column in one of them. */
  noteSeen(column: number): void;
  /** What was seen so far; `root` and `rowElement` are told of when there was no record. */
  findings(rowElement: string, root: string | undefined): Findings;
}

export function createRows(
  fields: readonly WantedField[],
  explodePath: string,
  names: Names,
  limits: XmlLimits,
): Rows {
  const exploded = explodePath === "" ? [] : readPath(explodePath, "explodePath");
  const columns = toFieldSteps(fields, exploded, names);
  const explode = toSteps(exploded, names);
  const tell = createTell(columns, explodePath, explode);
  const wasSeen = new Uint8Array(columns.length);
  // What a column found last, and in what: the rows of one record have most of their elements in common.
  const anchors = new Array<Value | undefined>(columns.length).fill(undefined);
  const texts = new Array<string | null>(columns.length).fill(null);
  let recordCount = 0;
  let withoutRow = 0;

  /** Adds one row; gives the bytes of its cells. `chain` has what each step of explodePath stands for. */
  const addRow = (chain: readonly Value[], block: BlockBuilder, byteOffset: number): number => {
    let bytes = 0;
    for (let column = 0; column < columns.length; column++) {
      const { shared, steps } = columns[column] as FieldSteps;
      const anchor = chain[shared];
      let text: string | null;
      if (explode.length > 0 && anchor === anchors[column]) text = texts[column] ?? null;
      else {
        const value = follow(anchor, steps, 0);
        if (value !== undefined) wasSeen[column] = 1;
        text = toText(value);
        if (explode.length > 0) {
          anchors[column] = anchor;
          texts[column] = text;
        }
      }
      if (text === null) {
        setNull(block, column);
        continue;
      }
      const from = block.ends[column] as number;
      appendText(block, column, text);
      bytes += (block.ends[column] as number) - from;
      if (bytes > limits.maxRowBytes) {
        const place = placeOf(block, block.rows, byteOffset);
        throw tooLarge("maxRowBytes", limits.maxRowBytes, "bytes in the cells of a row", place);
      }
    }
    endRecord(block, byteOffset);
    return bytes;
  };

  function* addExploded({ value, byteOffset }: XmlRecord, block: BlockBuilder): Generator<void> {
    recordCount++;
    tell.look(value, IN_RECORD);
    let rows = 0;
    let bytes = 0;
    for (const chain of chains([value], explode)) {
      const place = placeOf(block, block.rows, byteOffset);
      tell.look(chain[explode.length] ?? null, IN_ELEMENT);
      bytes += addRow(chain, block, byteOffset);
      if (bytes > limits.maxExplodedBytes) {
        const what = "bytes in the cells of one record's rows";
        throw tooLarge("maxExplodedBytes", limits.maxExplodedBytes, what, place);
      }
      rows++;
      yield;
    }
    if (rows === 0) withoutRow++;
    // Nothing of a record outlives it.
    anchors.fill(undefined);
  }

  return {
    add({ value, byteOffset }, block) {
      recordCount++;
      tell.look(value, IN_RECORD);
      addRow([value], block, byteOffset);
    },
    addExploded: explode.length === 0 ? undefined : addExploded,
    columns: explode.length === 0 ? columns : undefined,
    noteRecords(count) {
      recordCount += count;
    },
    noteSeen(column) {
      wasSeen[column] = 1;
    },
    findings(rowElement, root) {
      const warnings: string[] = [];
      if (recordCount === 0 && root !== undefined) {
        warnings.push(`no element is a record by rowElement ${rowElement}; the root is ${root}`);
      }
      if (withoutRow > 0) {
        warnings.push(`${withoutRow} records without an element ${explodePath} gave no row`);
      }
      if (tell.rivals.size > 0) {
        const which = [...tell.rivals].join(", ");
        warnings.push(`several names fit one field, which takes the best of each record: ${which}`);
      }
      return {
        absent: columns.flatMap((_, column) => (wasSeen[column] === 1 ? [] : [column])),
        extra: [...tell.extra],
        warnings,
      };
    },
  };
}

/**
 * Every way to follow explodePath from the last value of the chain, which it extends in place: a step through a
 * repeated element goes through each of its elements.
 */
function* chains(chain: Value[], explode: readonly Step[]): Generator<readonly Value[]> {
  const level = chain.length - 1;
  const value = chain[level] ?? null;
  const step = explode[level];
  if (isList(value) && step?.kind !== "place") {
    for (const one of value) {
      chain[level] = one;
      yield* chains(chain, explode);
      chain.length = level + 1;
    }
    return;
  }
  if (step === undefined) {
    yield chain;
    return;
  }
  const next = follow(value, [step], 0);
  if (next === undefined) return;
  chain.push(next);
  yield* chains(chain, explode);
}

function toText(value: Value | undefined): string | null {
  if (value === undefined || value === null || typeof value === "string") return value ?? null;
  return !isList(value) && value.isNil ? null : toJson(value);
}

function tooLarge(
  option: string,
  limit: number,
  what: string,
  place: { row?: number; byteOffset: number },
): StageError {
  return new StageError(
    "parse",
    "record_too_large",
    `more than ${option} = ${limit} ${what}`,
    place,
  );
}
