import { createHash } from "node:crypto";
import { crashPoint, StageError } from "@sluice/errors";
import { damageOf } from "./damaged-slice.ts";
import type { InsertAnswer } from "./insert-request.ts";
import { INSERT_SETTINGS } from "./insert-settings.ts";
import type { EntryPlace, InsertStatements } from "./insert-statement.ts";
import type { Warehouse } from "./warehouse.ts";

/** One request's worth of rows, as batches and slices look alike. */
export interface Unit {
  readonly ordinal: number;
  readonly firstRow: number;
  readonly rows: number;
  /** Where a slice starts in its file; undefined for a batch, whose rows carry this. */
  readonly byteOffset?: number;
  readonly byteLength: number;
  readonly body: readonly Uint8Array[] | ((signal: AbortSignal) => AsyncIterable<Uint8Array>);
  /** The body's hash, or what stands for it. */
  readonly identity: string;
  readonly statements: InsertStatements;
}

/** A pure function of where the unit comes from, what it holds and how it is cast. */
function token(place: EntryPlace, unit: Unit, side: Side): string {
  const { object, entry, feed } = place;
  const parts = [
    side,
    object.bucket,
    object.key,
    object.versionId ?? "",
    object.etag,
    entry,
    String(unit.ordinal),
    feed.id,
    String(feed.version),
    createHash("sha256")
      .update(unit.statements[side] ?? "")
      .digest("hex"),
    unit.identity,
    // What an earlier generation staged was removed: its tokens must not keep the same batch from coming again.
    ...(object.generation === undefined ? [] : [String(object.generation)]),
    // Of several objects the versions of all: the statement has their keys.
    ...(place.unit ?? []).flatMap(({ key, versionId, etag }) => [key, versionId ?? "", etag]),
  ];
  // Lengths in front keep two different lists from joining into one text.
  const joined = parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join("");
  return createHash("sha256").update(joined).digest("hex");
}

type Side = keyof InsertStatements;

/** What one load has learnt of its values: which statement takes most rows, and which of the others need not be asked. */
export interface Habit {
  /** Most rows have rare forms: their statement is sent first. */
  areRare: boolean;
  /** What is left by the first statement was refused, the last time: the rejects are sent before the third. */
  areRefused: boolean;
}

export const NO_HABIT: Habit = { areRare: false, areRefused: false };

function orderBy({ areRare, areRefused }: Habit): readonly Side[] {
  const [first, other] = areRare ? (["rare", "rows"] as const) : (["rows", "rare"] as const);
  return areRefused ? [first, "rejects", other] : [first, other, "rejects"];
}

/** Which of a unit's rows are where, once all its inserts are durable. */
export interface Sent {
  readonly rejected: number;
}

/**
 * Inserts a unit's good rows, and its bad ones if there are any; repeats while the outcome is unknown. The statements part the
 * rows whatever their order, so that it may follow from what earlier units were like.
 */
export async function sendUnit(
  warehouse: Warehouse,
  place: EntryPlace,
  unit: Unit,
  habit: Habit,
  signal: AbortSignal,
): Promise<Sent> {
  const send = async (side: Side): Promise<number> => {
    const statement = unit.statements[side];
    if (statement === undefined) return 0;
    crashPoint("load-before-insert");
    const deduplicationToken = token(place, unit, side);
    const insert = async (attempt: number): Promise<InsertAnswer> =>
      await warehouse.insert({
        statement,
        body: unit.body,
        byteLength: unit.byteLength,
        // A try of its own id: the one before may still run, and the server refuses two of one id.
        queryId: `${place.workflowId}-${deduplicationToken.slice(0, 16)}-${side}-${attempt}-${performance.now().toString(36)}`,
        deduplicationToken,
        settings: INSERT_SETTINGS,
        signal,
      });
    const answer = await warehouse.retrying(signal, async (attempt) => {
      try {
        return await insert(attempt);
      } catch (error) {
        if (typeof unit.body !== "function" || damageOf(error) === undefined) throw error;
      }
      // Read and sent once more: damage on the way is gone then, damage in the file is not.
      try {
        return await insert(attempt);
      } catch (error) {
        throw damageOf(error) ?? error;
      }
    });
    crashPoint("load-inserted");
    if (answer.readRows !== unit.rows) {
      throw new StageError(
        "publish",
        "unverified",
        `ClickHouse read ${answer.readRows} rows of a body of ${unit.rows}`,
        {
          ...coordinate(place, unit),
          seen: `${answer.readRows} rows`,
          expected: `${unit.rows} rows`,
        },
      );
    }
    return answer.writtenRows;
  };

  const taken: Partial<Record<Side, number>> = {};
  let left = unit.rows;
  for (const side of orderBy(habit)) {
    if (left <= 0) break;
    taken[side] = await send(side);
    left -= taken[side];
  }
  const { rows, rare, rejects = 0 } = taken;
  if (left !== 0) {
    const good = (rows ?? 0) + (rare ?? 0);
    throw new StageError(
      "publish",
      "unverified",
      `of ${unit.rows} rows ${good} were staged and ${rejects} rejected`,
      {
        ...coordinate(place, unit),
        seen: `${good} + ${rejects} rows`,
        expected: `${unit.rows} rows`,
      },
    );
  }
  if (rows !== undefined && rare !== undefined) habit.areRare = rare > rows;
  if (taken.rejects !== undefined) habit.areRefused = Math.min(rows ?? 0, rare ?? 0) === 0;
  return { rejected: rejects };
}

/** Where a unit starts in the customer's data. */
export function coordinate(
  place: EntryPlace,
  unit: Unit,
): {
  bucket: string;
  key?: string;
  etag?: string;
  entry?: string;
  row?: number;
  byteOffset?: number;
} {
  const { bucket, key, etag } = place.object;
  // Which of several objects it was, nobody knows.
  if (place.unit !== undefined) return { bucket };
  return {
    bucket,
    key,
    etag,
    ...(place.entry === "" ? {} : { entry: place.entry }),
    row: unit.firstRow,
    ...(unit.byteOffset === undefined ? {} : { byteOffset: unit.byteOffset }),
  };
}
