import { StageError } from "@sluice/errors";
import { type MemoryPart, UNCOUNTED, type WorkingMemory } from "@sluice/streams";
import type { BlockBuilder } from "./block-builder.ts";
import type { RowBuilder } from "./column-builder.ts";

/** What every parser can be told besides its limits. */
export interface MemoryOption {
  /** Holds what the parser works with. Default: nobody keeps account. */
  readonly memory?: WorkingMemory;
}

/** The account of what one file makes its parser hold; holding too much is `parse.record_too_large`. */
export function parserMemory(memory: WorkingMemory = UNCOUNTED): MemoryPart {
  return memory.part((message) => new StageError("parse", "record_too_large", message));
}

/** Bytes of a block under construction. */
export function heldByBlock({ data, offsets, validity, byteOffsets }: BlockBuilder): number {
  let bytes = byteOffsets.byteLength;
  for (const column of data) bytes += column.byteLength;
  for (const column of offsets) bytes += column.byteLength;
  for (const column of validity) bytes += column?.byteLength ?? 0;
  return bytes;
}

/** The same where columns are written each by itself. */
export function heldByRows({ columns, byteOffsets }: RowBuilder): number {
  let bytes = byteOffsets.byteLength;
  for (const { data, offsets, validity } of columns) {
    bytes += data.byteLength + offsets.byteLength + (validity?.byteLength ?? 0);
  }
  return bytes;
}
