import { createHash } from "node:crypto";
import { StageError } from "@sluice/errors";
import type { Batch, Slice } from "@sluice/schema";
import { type EntryPlace, insertStatements } from "./insert-statement.ts";
import { coordinate, type Habit, NO_HABIT, sendUnit, type Unit } from "./send-unit.ts";
import type { Warehouse } from "./warehouse.ts";

/** A stretch of an entry whose rows are durable in staging, with all stretches before it. */
export interface Acknowledgement {
  readonly ordinal: number;
  readonly firstRow: number;
  readonly rows: number;
  readonly rejected: number;
}

export interface LoadOptions extends EntryPlace {
  readonly warehouse: Warehouse;
  /** Batches below this ordinal were acknowledged in an earlier run; they are not sent again. */
  readonly resumeAt?: { readonly ordinal: number };
  /** Inserts in flight at one time. Default 2. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
  /** Called in the order of ordinals, one at a time; a rejection stops the load. */
  readonly onAcknowledged?: (acknowledged: Acknowledgement) => void | Promise<void>;
}

/** What one call sent; batches passed over by `resumeAt` do not count. */
export interface LoadTotals {
  readonly batches: number;
  readonly rows: number;
  readonly rejected: number;
}

interface Pending {
  readonly unit: Unit;
  readonly release: () => void;
}

async function load<T extends { readonly ordinal: number }>(
  options: LoadOptions,
  source: AsyncIterable<T>,
  open: (item: T) => Pending,
  skip: (item: T) => void,
): Promise<LoadTotals> {
  const { warehouse, concurrency = 2, onAcknowledged } = options;
  const resumeOrdinal = options.resumeAt?.ordinal ?? 0;
  const stop = new AbortController();
  const signal =
    options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const totals = { batches: 0, rows: 0, rejected: 0 };
  const flying = new Set<Promise<void>>();
  const habit: Habit = { ...NO_HABIT };
  let acknowledged = Promise.resolve();
  let failure: { readonly error: unknown } | undefined;
  let expectedOrdinal: number | undefined;

  const fail = (error: unknown): void => {
    failure ??= { error };
    stop.abort(error);
  };
  const launch = ({ unit, release }: Pending): void => {
    const sent = sendUnit(warehouse, options, unit, habit, signal).finally(release);
    const before = acknowledged;
    acknowledged = (async () => {
      await before;
      const { rejected } = await sent;
      if (failure !== undefined) return;
      const { ordinal, firstRow, rows } = unit;
      await onAcknowledged?.({ ordinal, firstRow, rows, rejected });
      totals.batches++;
      totals.rows += rows;
      totals.rejected += rejected;
    })();
    acknowledged.catch(fail);
    const flight: Promise<void> = sent.then(
      () => void flying.delete(flight),
      (error: unknown) => {
        flying.delete(flight);
        fail(error instanceof StageError ? error.at(coordinate(options, unit)) : error);
      },
    );
    flying.add(flight);
  };

  try {
    for await (const item of source) {
      if (failure !== undefined || options.signal?.aborted) {
        skip(item);
        break;
      }
      if (item.ordinal < resumeOrdinal) {
        skip(item);
        continue;
      }
      if (expectedOrdinal !== undefined && item.ordinal !== expectedOrdinal) {
        skip(item);
        throw new Error(`batch ${item.ordinal} came where ${expectedOrdinal} was due`);
      }
      expectedOrdinal = item.ordinal + 1;
      launch(open(item));
      while (flying.size >= concurrency) await Promise.race(flying);
    }
    await acknowledged;
  } catch (error) {
    fail(error);
  } finally {
    // Bodies go back to their budget only when no request reads them any more.
    await Promise.allSettled([...flying, acknowledged]);
  }
  options.signal?.throwIfAborted();
  if (failure !== undefined) throw failure.error;
  return totals;
}

/**
 * Loads the batches of one entry into the workflow's staging tables. Sending a batch again, in this
 * run or a later one, changes nothing. Every batch is released, whatever happens.
 */
export function loadBatches(
  options: LoadOptions,
): (batches: AsyncIterable<Batch>) => Promise<LoadTotals> {
  const statements = insertStatements(options);
  const open = (batch: Batch): Pending => ({
    unit: {
      ordinal: batch.ordinal,
      firstRow: batch.firstRow,
      rows: batch.rows,
      byteLength: batch.byteLength,
      body: batch.body,
      identity: hashOf(batch.body),
      statements,
    },
    release: batch.release,
  });
  return async (batches) => await load(options, batches, open, (batch) => batch.release());
}

function hashOf(pieces: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}

/** The same for slices of a file that ClickHouse decodes: their bytes stream through. */
export function loadSlices(
  options: LoadOptions,
): (slices: AsyncIterable<Slice>) => Promise<LoadTotals> {
  const open = (slice: Slice): Pending => ({
    unit: {
      ordinal: slice.ordinal,
      firstRow: slice.firstRow,
      rows: slice.rows,
      byteOffset: slice.byteOffset,
      byteLength: slice.byteLength,
      body: (signal) => slice.open(signal),
      identity: slice.identity,
      statements: insertStatements(options, slice),
    },
    release: () => slice.release?.(),
  });
  return async (slices) => await load(options, slices, open, (slice) => slice.release?.());
}
