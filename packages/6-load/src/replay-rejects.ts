import { StageError } from "@sluice/errors";
import type { Feed } from "@sluice/schema";
import { IS_OPEN_REJECT, REJECT_COLUMNS } from "./columns.ts";
import { prepareDomainTable } from "./domain-table.ts";
import { CAST_SETTINGS } from "./insert-settings.ts";
import { insertRows, refusedByAny } from "./insert-statement.ts";
import { castRows, codedRows, type PlannedCast, planCasts, refusalsOf } from "./plan-casts.ts";
import { uuidOf } from "./publish.ts";
import { quoteIdentifier, quoteText } from "./quoting.ts";
import { parseColumns, recordMember } from "./record.ts";
import { type ColumnPlan, resolveColumns } from "./resolve-columns.ts";
import { createStaging, dropStaging, listPublishing } from "./staging.ts";
import {
  rejectsTable,
  replayedTable,
  replayingTable,
  stagingTable,
  type TableAddress,
} from "./table-names.ts";
import { countKept } from "./table-state.ts";
import type { Warehouse } from "./warehouse.ts";

/**
 * A replay as a state machine. Each step may be repeated; whatever crashes, `replayRejects` begins anew
 * and `publishReplayedRejects` goes on.
 *
 * | state    | replaying | replayed | staging     | the quarantine        | reached by              |
 * |----------|-----------|----------|-------------|-----------------------|-------------------------|
 * | cast     | verdicts  | -        | filling     | as before             | INSERT ... SELECT, twice|
 * | staged   | -         | verdicts | healed rows | as before             | RENAME                  |
 * | loaded   | -         | verdicts | -           | as before             | publish, as any load    |
 * | done     | -         | verdicts | -           | healed ones are gone  | publishReplayedRejects  |
 *
 * So a reject goes only when its row is in the domain table. Verdicts are taken once, from a copy of the
 * quarantine as it was: rejects that other loads add meanwhile are neither staged nor taken away.
 */
export interface ReplayFilter {
  /** Only rejects of this workflow. */
  readonly workflowId?: string;
  /**
   * Only rejects of objects of this ordinal and later: those before a truncate and load belong to rows
   * that it has replaced.
   */
  readonly fromOrdinal?: number;
}

/** What became of the rejects that were there. */
export interface ReplayTotals {
  /** Staged under the replay's workflow. */
  readonly healed: number;
  /** Refused again; they stay with their new reason. */
  readonly refused: number;
  /** Not cast at all: records that could not be cut into fields, or that lack what the feed requires. */
  readonly skipped: number;
  /** Why records lack something, in words. */
  readonly warnings: readonly string[];
}

const list = (names: readonly string[]): string => names.map(quoteIdentifier).join(", ");
const REJECT_NAMES = REJECT_COLUMNS.map(({ name }) => name);
const SETTINGS = Object.entries(CAST_SETTINGS)
  .map(([name, value]) => `${name} = ${quoteText(value)}`)
  .join(", ");

/**
 * Casts the stored records of rejects under the feed as it is now. Rows that pass are staged under the
 * replay's workflow with their own file, entry, row and version, so that newer rows still win; publish
 * that as a *load*, then call `publishReplayedRejects`. May be called again; it begins anew then.
 */
export async function replayRejects(
  warehouse: Warehouse,
  feed: Feed,
  replayWorkflowId: string,
  filter: ReplayFilter = {},
): Promise<ReplayTotals> {
  const at: TableAddress = { source: feed.source, name: feed.name };
  const rejects = rejectsTable(at).sql;
  const replaying = replayingTable(at, replayWorkflowId).sql;
  const replayed = replayedTable(at, replayWorkflowId).sql;
  const staging = stagingTable(at, replayWorkflowId).sql;

  // Emptied tables would remember the blocks that they had, and take them for repetitions.
  await dropStaging(warehouse, at, replayWorkflowId);
  await prepareDomainTable(warehouse, feed);
  await createStaging(warehouse, at, replayWorkflowId);
  await warehouse.execute(`CREATE TABLE IF NOT EXISTS ${replaying} AS ${rejects}`);

  const conditions = openRejects(filter);
  const counted = async (from: string): Promise<number> => {
    const [found] = await warehouse.query<{ n: string }>(
      `SELECT toString(count()) AS n FROM ${from}`,
    );
    return Number(found?.n ?? 0);
  };
  const before = await counted(`${rejects} FINAL WHERE ${conditions}`);
  const warnings: string[] = [];
  for (const { columns, plan } of await groupsOf(
    warehouse,
    feed,
    `${rejects} FINAL WHERE ${conditions}`,
    warnings,
  )) {
    const casts = planCasts(feed, plan, "text");
    const ofGroup = `stage = 'cast' AND _columns = ${quoteText(columns)}`;
    const verdicts = judge(
      feed,
      replayWorkflowId,
      casts,
      records(plan, `${rejects} FINAL WHERE ${conditions} AND ${ofGroup}`),
    );
    await warehouse.copyRows(
      `INSERT INTO ${replaying} (${list(REJECT_NAMES)}) ${verdicts} SETTINGS ${SETTINGS}`,
    );
    const healed = records(plan, `${replaying} FINAL WHERE ${ofGroup} AND NOT (${IS_OPEN_REJECT})`);
    const lineage = { file: "r_file", entry: "r_entry" };
    await warehouse.copyRows(
      `${insertRows(feed, replayWorkflowId, casts, castRows(casts, healed), lineage)} SETTINGS ${SETTINGS}`,
    );
  }

  const healed = await counted(`${replaying} FINAL WHERE NOT (${IS_OPEN_REJECT})`);
  const refused = await counted(`${replaying} FINAL WHERE ${IS_OPEN_REJECT}`);
  const staged = await counted(`(SELECT DISTINCT _file, _entry, _row, _updated FROM ${staging})`);
  if (staged < healed) {
    throw new StageError(
      "publish",
      "unverified",
      `of ${healed} rows that were replayed ${staged} are staged`,
      {
        seen: `${staged} rows`,
        expected: `${healed} rows`,
      },
    );
  }
  await warehouse.retrying(undefined, async () => {
    // A rename that was carried out but not answered is not repeated.
    if ((await uuidOf(warehouse, replayedTable(at, replayWorkflowId))) !== undefined) return;
    await warehouse.executeOnce(`RENAME TABLE ${replaying} TO ${replayed}`);
  });
  return { healed, refused, skipped: Math.max(0, before - healed - refused), warnings };
}

/**
 * Takes the healed rejects out of the quarantine and gives the others their new reasons. Call it once
 * the replay's rows are published; before that it is `publish.conflict`. Repeating it changes nothing.
 */
export async function publishReplayedRejects(
  warehouse: Warehouse,
  feed: Feed,
  replayWorkflowId: string,
): Promise<void> {
  const at: TableAddress = { source: feed.source, name: feed.name };
  const replayed = replayedTable(at, replayWorkflowId);
  const isStaged = (await uuidOf(warehouse, replayed)) !== undefined;
  if (!isStaged && (await uuidOf(warehouse, replayingTable(at, replayWorkflowId))) === undefined) {
    return;
  }
  if (!isStaged || (await holdsUnpublished(warehouse, at, replayWorkflowId))) {
    throw new StageError(
      "publish",
      "conflict",
      "the replayed rows are not published yet: their rejects stay until they are",
    );
  }
  // The quarantine keeps the row of a place that came last: a mark without a record hides the reject.
  const columns = REJECT_NAMES.map((name) =>
    name === "record" || name === "value"
      ? `if(${IS_OPEN_REJECT}, ${quoteIdentifier(name)}, '')`
      : quoteIdentifier(name),
  );
  await warehouse.copyRows(
    `INSERT INTO ${rejectsTable(at).sql} (${list(REJECT_NAMES)}) SELECT ${columns.join(", ")} FROM ${replayed.sql} FINAL`,
  );
}

async function holdsUnpublished(
  warehouse: Warehouse,
  at: TableAddress,
  workflowId: string,
): Promise<boolean> {
  const names = [
    stagingTable(at, workflowId).table,
    ...(await listPublishing(warehouse, at, workflowId)).map(({ name }) => name),
  ];
  return (await countKept(warehouse, at.source, names)) > 0;
}

function openRejects({ workflowId, fromOrdinal }: ReplayFilter): string {
  return [
    IS_OPEN_REJECT,
    ...(workflowId === undefined ? [] : [`_workflow = ${quoteText(workflowId)}`]),
    ...(fromOrdinal === undefined ? [] : [`_place >= ${BigInt(fromOrdinal) << 37n}`]),
  ].join(" AND ");
}

interface Group {
  /** As the quarantine has them. */
  readonly columns: string;
  readonly plan: ColumnPlan;
}

/** The rejects by the columns of their records, without those that the feed cannot be filled from. */
async function groupsOf(
  warehouse: Warehouse,
  feed: Feed,
  from: string,
  warnings: string[],
): Promise<Group[]> {
  const found = await warehouse.query<{ columns: string; n: string }>(
    `SELECT _columns AS columns, toString(count()) AS n FROM ${from} AND stage = 'cast' GROUP BY columns ORDER BY columns`,
  );
  return found.flatMap(({ columns, n }) => {
    const stored = parseColumns(columns);
    if (stored === undefined) {
      warnings.push(`${n} rejects of an older release have no types and stay as they are`);
      return [];
    }
    try {
      return [{ columns, plan: resolveColumns(feed, stored) }];
    } catch (error) {
      if (!(error instanceof StageError)) throw error;
      warnings.push(`${n} rejects stay as they are: ${error.rawMessage}`);
      return [];
    }
  });
}

/** The records of rejects as raw columns `c<index>`; the reject's own columns as `r_<name>`. */
function records(plan: ColumnPlan, from: string): string {
  const own = REJECT_NAMES.map((name) => `${quoteIdentifier(name)} AS ${ownName(name)}`);
  const raw = plan.chosen.map((index) => `${recordMember("r_record", index)} AS c${index}`);
  return (
    `SELECT *, ${["r_file AS _file", "r_entry AS _entry", "r_row AS _row", "r_place AS _place", ...raw].join(", ")} ` +
    `FROM (SELECT ${own.join(", ")} FROM ${from})`
  );
}

const ownName = (name: string): string => `r_${name.replace(/^_/, "")}`;

/** The rejects as they are to be: healed by the replay, or with the reason that the feed refuses them for now. */
function judge(
  feed: Feed,
  replayWorkflowId: string,
  casts: readonly PlannedCast[],
  from: string,
): string {
  const { codes, columns } = refusalsOf(casts);
  const anew: Readonly<Record<string, string>> = {
    ...columns,
    _feed_version: `toUInt32(${feed.version})`,
    time: "now64(3, 'UTC')",
  };
  const values = REJECT_NAMES.map((name) => {
    if (name === "_healed_by") return `if(_is_bad, '', ${quoteText(replayWorkflowId)})`;
    const now = anew[name];
    return now === undefined ? ownName(name) : `if(_is_bad, ${now}, ${ownName(name)})`;
  });
  return (
    `SELECT ${values.join(", ")} FROM (SELECT *, (${refusedByAny(casts)}) AS _is_bad ` +
    `FROM (${codedRows(casts, codes, castRows(casts, from))}))`
  );
}
