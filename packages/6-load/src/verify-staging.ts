import { StageError } from "@sluice/errors";
import type { Feed } from "@sluice/schema";
import { ROW_BITS } from "./insert-statement.ts";
import { stagingRejectsTable, stagingTable } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/** What was sent of one object, all its entries together, over all runs of the workflow. */
export interface SentObject {
  readonly key: string;
  readonly rows: number;
  /** Where it lies and which version was read: for the place of an error. */
  readonly bucket?: string;
  readonly etag?: string;
}

export interface VerifyOptions {
  readonly warehouse: Warehouse;
  readonly feed: Feed;
  readonly workflowId: string;
  readonly sent: readonly SentObject[];
}

/** What staging holds, verified. */
export interface StagedTotals {
  readonly rows: number;
  readonly rejected: number;
}

const FIRST_REJECTS = 5;

/** How many rows of each object were refused, by its ordinal; objects without any are left out. */
export async function countStagedRejects(
  warehouse: Warehouse,
  feed: Feed,
  workflowId: string,
  ordinals: { readonly first: number; readonly last: number },
): Promise<ReadonlyMap<number, number>> {
  const table = stagingRejectsTable({ source: feed.source, name: feed.name }, workflowId).sql;
  const place = (ordinal: number): bigint => BigInt(ordinal) << ROW_BITS;
  const found = await warehouse.query<{ ordinal: string; n: string }>(
    `SELECT toString(bitShiftRight(_place, ${ROW_BITS})) AS ordinal, toString(count()) AS n FROM ${table} WHERE _place >= ${place(ordinals.first)} AND _place < ${place(ordinals.last + 1)} GROUP BY ordinal`,
  );
  return new Map(found.map(({ ordinal, n }) => [Number(ordinal), Number(n)]));
}

interface ObjectCount {
  readonly file: string;
  readonly n: string;
  readonly refused: 0 | 1;
}

/**
 * Compares staging with what was sent, object by object: a difference, or a row that nobody sent, is
 * `publish.unverified`. A share of rejects in the whole load over the feed's threshold is
 * `cast.threshold_exceeded`, with counts by code and the first places.
 */
export async function verifyStaging(options: VerifyOptions): Promise<StagedTotals> {
  const { warehouse, feed, workflowId, sent } = options;
  const at = { source: feed.source, name: feed.name };
  const rejects = stagingRejectsTable(at, workflowId).sql;
  const counted = (table: string, refused: ObjectCount["refused"]): string =>
    `SELECT _file AS file, toString(count()) AS n, toUInt8(${refused}) AS refused FROM ${table} GROUP BY file`;
  const found = await warehouse.query<ObjectCount>(
    `${counted(stagingTable(at, workflowId).sql, 0)} UNION ALL ${counted(rejects, 1)}`,
  );
  const those = (refused: ObjectCount["refused"]): Map<string, number> =>
    new Map(
      found.filter((each) => each.refused === refused).map(({ file, n }) => [file, Number(n)]),
    );
  const [staged, refused] = [those(0), those(1)];
  const expected = new Map<string, number>();
  for (const { key, rows } of sent) expected.set(key, (expected.get(key) ?? 0) + rows);

  for (const key of new Set([...expected.keys(), ...staged.keys(), ...refused.keys()])) {
    const there = (staged.get(key) ?? 0) + (refused.get(key) ?? 0);
    const wanted = expected.get(key) ?? 0;
    if (there === wanted) continue;
    throw new StageError(
      "publish",
      "unverified",
      `${there} rows are staged or rejected where ${wanted} were sent`,
      {
        key,
        seen: `${there} rows`,
        expected: `${wanted} rows`,
      },
    );
  }

  const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);
  const rejected = sum(refused.values());
  const rows = sum(staged.values());
  if (rejected * 100 > feed.errorThresholdPercent * (rows + rejected)) {
    throw await thresholdExceeded(options, rejects, rows + rejected, rejected);
  }
  return { rows, rejected };
}

async function thresholdExceeded(
  { warehouse, feed, sent }: VerifyOptions,
  rejects: string,
  rows: number,
  rejected: number,
): Promise<StageError> {
  const kinds = await warehouse.query<{ kind: string; n: string }>(
    `SELECT concat(stage, '.', code, if(field = '', '', concat(' in ', field))) AS kind, toString(count()) AS n FROM ${rejects} GROUP BY kind ORDER BY count() DESC, kind LIMIT 10`,
  );
  const first = await warehouse.query<{ file: string; entry: string; row: string; field: string }>(
    `SELECT _file AS file, _entry AS entry, toString(_row) AS row, field FROM ${rejects} ORDER BY file, entry, _row LIMIT ${FIRST_REJECTS}`,
  );
  const [start] = first;
  const { bucket, etag } = sent.find(({ key }) => key === start?.file) ?? {};
  const places = first.map(
    ({ file, entry, row, field }) =>
      `${file}${entry === "" ? "" : ` (${entry})`} row ${row}${field === "" ? "" : ` field ${field}`}`,
  );
  return new StageError(
    "cast",
    "threshold_exceeded",
    `${rejected} of ${rows} rows were rejected, more than ${feed.errorThresholdPercent} %: ` +
      `${kinds.map(({ kind, n }) => `${n} x ${kind}`).join(", ")}; first ${places.join(", ")}`,
    {
      ...(bucket && { bucket }),
      ...(etag && { etag }),
      ...(start === undefined ? {} : { key: start.file, row: Number(start.row) }),
      ...(start === undefined || start.entry === "" ? {} : { entry: start.entry }),
      ...(start === undefined || start.field === "" ? {} : { column: start.field }),
      seen: `${((rejected * 100) / rows).toFixed(2)} %`,
      expected: `at most ${feed.errorThresholdPercent} %`,
    },
  );
}
