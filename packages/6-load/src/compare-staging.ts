import type { Feed } from "@sluice/schema";
import { fieldColumns, IS_OPEN_REJECT, includedFields, type TableColumn } from "./columns.ts";
import { readColumns } from "./domain-table.ts";
import { quoteIdentifier } from "./quoting.ts";
import { domainTable, rejectsTable, stagingRejectsTable, stagingTable } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/** A field of a draft beside the domain table's column of its name. */
export interface ComparedField {
  readonly name: string;
  /** Empty where there is none. */
  readonly type: string;
  readonly activeType: string;
  readonly nulls: number;
  readonly activeNulls: number;
  readonly rejected: number;
  readonly activeRejected: number;
  readonly changed: number;
  readonly examples: readonly ChangedValue[];
}

/** Texts; null for null. */
export interface ChangedValue {
  readonly key: readonly string[];
  readonly value: string | null;
  readonly activeValue: string | null;
}

/** What a draft makes of some files beside what the domain table has of them. */
export interface StagingComparison {
  readonly loaded: number;
  readonly rows: number;
  readonly rejected: number;
  readonly repeatedKeys: number;
  readonly activeRows: number;
  readonly activeRejected: number;
  /** Undefined when the draft's primary key is not made of columns that the domain table has alike. */
  readonly byKey?: {
    readonly added: number;
    readonly lost: number;
    readonly changed: number;
    readonly superseded: number;
  };
  readonly fields: readonly ComparedField[];
}

const MAX_EXAMPLES = 3;

type Counts = Readonly<Record<string, string | number>>;

/** What all statements of one comparison have in common. */
interface Sides {
  readonly warehouse: Warehouse;
  readonly draft: Feed;
  readonly active: Feed;
  readonly files: readonly string[];
  /** The draft's rows, the newest of each primary key. */
  readonly shadow: string;
  readonly staged: string;
  readonly domain: string;
  readonly rejects: string;
  readonly activeRejects: string;
  /** Columns of both, by the draft's order. */
  readonly common: readonly string[];
  readonly draftColumns: readonly TableColumn[];
  readonly activeColumns: readonly TableColumn[];
}

/**
 * Compares what a workflow staged of a draft with the rows that the active version's domain table has of the same
 * files. Values are compared as text. Reads alone: nothing is changed.
 */
export async function compareStaging(
  warehouse: Warehouse,
  draft: Feed,
  active: Feed,
  workflowId: string,
  files: readonly string[],
): Promise<StagingComparison> {
  const at = { source: active.source, name: active.name };
  const names = new Set(includedFields(active).map(({ name }) => name));
  const activeColumns = (await readColumns(warehouse, domainTable(at))).filter(({ name }) =>
    names.has(name),
  );
  const draftColumns = fieldColumns(draft);
  const known = new Set(activeColumns.map(({ name }) => name));
  const staged = stagingTable(at, workflowId).sql;
  const sides: Sides = {
    warehouse,
    draft,
    active,
    files,
    shadow: `${staged} FINAL`,
    staged,
    domain: domainTable(at).sql,
    rejects: stagingRejectsTable(at, workflowId).sql,
    activeRejects: `${rejectsTable(at).sql} FINAL`,
    common: draftColumns.map(({ name }) => name).filter((name) => known.has(name)),
    draftColumns,
    activeColumns,
  };
  const isThere = activeColumns.length > 0;
  const key = list(draft.primaryKey);
  const [{ n: repeated = 0 } = {}] = await warehouse.query<Counts>(
    `SELECT count() AS n FROM (SELECT 1 FROM ${staged} GROUP BY ${key} HAVING count() > 1)`,
  );
  const [{ n: loaded = 0 } = {}] = await warehouse.query<Counts>(
    `SELECT count() AS n FROM ${staged}`,
  );
  const mine = await nulls(sides, sides.shadow, draftColumns, "1");
  const theirs = isThere
    ? await nulls(sides, sides.domain, activeColumns, "_file IN {files:Array(String)}")
    : {};
  const refused = await rejectsByField(sides, sides.rejects, "1");
  const refusedBefore = isThere
    ? await rejectsByField(sides, sides.activeRejects, IS_OPEN_REJECT)
    : new Map<string, number>();
  const byKey = isThere && isKeyCommon(sides) ? await compareByKey(sides) : undefined;

  const activeOnly = activeColumns.filter(({ name }) => !draftColumns.some((c) => c.name === name));
  const fields: ComparedField[] = [];
  for (const { name } of [...draftColumns, ...activeOnly]) {
    const changed = byKey?.changedOf.get(name) ?? 0;
    fields.push({
      name,
      type: draftColumns.find((column) => column.name === name)?.type ?? "",
      activeType: activeColumns.find((column) => column.name === name)?.type ?? "",
      nulls: Number(mine[`n_${name}`] ?? 0),
      activeNulls: Number(theirs[`n_${name}`] ?? 0),
      rejected: refused.get(name) ?? 0,
      activeRejected: refusedBefore.get(name) ?? 0,
      changed,
      examples: changed === 0 ? [] : await examplesOf(sides, name),
    });
  }
  const sum = (counts: ReadonlyMap<string, number>): number =>
    [...counts.values()].reduce((a, b) => a + b, 0);
  return {
    loaded: Number(loaded),
    rows: Number(mine.n ?? 0),
    rejected: sum(refused),
    repeatedKeys: Number(repeated),
    activeRows: Number(theirs.n ?? 0),
    activeRejected: sum(refusedBefore),
    ...(byKey === undefined ? {} : { byKey }),
    fields,
  };
}

const list = (names: readonly string[]): string => names.map(quoteIdentifier).join(", ");

/** Rows as `n`, and of each column the nulls as `n_<name>`. */
async function nulls(
  { warehouse, files }: Sides,
  from: string,
  columns: readonly TableColumn[],
  condition: string,
): Promise<Counts> {
  const counts = columns.map(
    ({ name }) => `countIf(isNull(${quoteIdentifier(name)})) AS ${quoteIdentifier(`n_${name}`)}`,
  );
  const [found] = await warehouse.query<Counts>(
    `SELECT ${["count() AS n", ...counts].join(", ")} FROM ${from} WHERE ${condition}`,
    { files },
  );
  return found ?? {};
}

/** Rejected rows of the files by the field that refused them; "" for records that could not be cut. */
async function rejectsByField(
  { warehouse, files }: Sides,
  from: string,
  condition: string,
): Promise<Map<string, number>> {
  const found = await warehouse.query<{ name: string; n: string | number }>(
    `SELECT field AS name, uniqExact(_file, _entry, _row) AS n FROM ${from} WHERE ${condition} AND _file IN {files:Array(String)} GROUP BY name`,
    { files },
  );
  return new Map(found.map(({ name, n }) => [name, Number(n)]));
}

function isKeyCommon({ draft, draftColumns, activeColumns }: Sides): boolean {
  const bare = (type: string | undefined): string | undefined =>
    type?.replace(/^Nullable\((.*)\)$/, "$1");
  return draft.primaryKey.every((name) => {
    const [mine, theirs] = [draftColumns, activeColumns].map((columns) =>
      bare(columns.find((column) => column.name === name)?.type),
    );
    return mine !== undefined && mine === theirs;
  });
}

/** The draft's rows `s<i>` beside the domain table's `d<i>` of the same key `k<i>`. */
function joined({ draft, shadow, staged, domain, common }: Sides): string {
  const keys = draft.primaryKey.map((name, at) => `${quoteIdentifier(name)} AS k${at}`);
  const values = (side: string): string[] =>
    common.map((name, at) => `toString(${quoteIdentifier(name)}) AS ${side}${at}`);
  const key = list(draft.primaryKey);
  const mine = `SELECT ${[...keys, ...values("s")].join(", ")} FROM ${shadow}`;
  const theirs =
    `SELECT ${[...keys, ...values("d")].join(", ")}, toUInt8(1) AS d_has, toUInt8(_file IN {files:Array(String)}) AS d_in ` +
    `FROM ${domain} WHERE (${key}) IN (SELECT ${key} FROM ${staged})`;
  const using = draft.primaryKey.map((_, at) => `k${at}`).join(", ");
  return `(${mine}) AS s LEFT JOIN (${theirs}) AS d USING (${using})`;
}

const differs = (at: number): string =>
  `(d_in AND ifNull(s${at} != d${at}, isNull(s${at}) != isNull(d${at})))`;

async function compareByKey(sides: Sides): Promise<{
  readonly added: number;
  readonly lost: number;
  readonly changed: number;
  readonly superseded: number;
  readonly changedOf: ReadonlyMap<string, number>;
}> {
  const { warehouse, files, common, draft, domain, staged } = sides;
  const each = common.map((_, at) => `countIf(${differs(at)}) AS c${at}`);
  const any = common.length === 0 ? "0" : common.map((_, at) => differs(at)).join(" OR ");
  const [found = {}] = await warehouse.query<Counts>(
    `SELECT ${["countIf(NOT d_has) AS added", "countIf(d_has AND NOT d_in) AS superseded", `countIf(${any}) AS changed`, ...each].join(", ")} FROM ${joined(sides)}`,
    { files },
  );
  const key = list(draft.primaryKey);
  const [{ n: lost = 0 } = {}] = await warehouse.query<Counts>(
    `SELECT count() AS n FROM ${domain} WHERE _file IN {files:Array(String)} AND (${key}) NOT IN (SELECT ${key} FROM ${staged})`,
    { files },
  );
  return {
    added: Number(found.added ?? 0),
    lost: Number(lost),
    changed: Number(found.changed ?? 0),
    superseded: Number(found.superseded ?? 0),
    changedOf: new Map(common.map((name, at) => [name, Number(found[`c${at}`] ?? 0)])),
  };
}

async function examplesOf(sides: Sides, name: string): Promise<ChangedValue[]> {
  const { warehouse, files, common, draft } = sides;
  const at = common.indexOf(name);
  const keys = draft.primaryKey.map((_, index) => `k${index}`);
  const found = await warehouse.query<{
    keys: string[];
    mine: string | null;
    theirs: string | null;
  }>(
    `SELECT [${keys.map((key) => `toString(${key})`).join(", ")}] AS keys, s${at} AS mine, d${at} AS theirs FROM ${joined(sides)} ` +
      `WHERE ${differs(at)} ORDER BY ${keys.join(", ")} LIMIT ${MAX_EXAMPLES}`,
    { files },
  );
  return found.map(({ keys: key, mine, theirs }) => ({ key, value: mine, activeValue: theirs }));
}
