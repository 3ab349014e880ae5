import { type Code, StageError } from "@sluice/errors";
import { quoteIdentifier } from "./quoting.ts";

/** Where a feed's rows live: a ClickHouse database and the name of the domain table in it. */
export interface TableAddress {
  readonly source: string;
  readonly name: string;
}

/** A table by its parts (data) and quoted for a statement. */
export interface TableName {
  readonly database: string;
  readonly table: string;
  readonly sql: string;
}

const SERVER_DATABASES = new Set(["system", "information_schema"]);
const STITCH_VIEW = "__stitch";
const RESERVED = /__(rows|rejects)$|__(stg|pub|kept)_|^__stitch$/;

function named(database: string, table: string): TableName {
  return { database, table, sql: `${quoteIdentifier(database)}.${quoteIdentifier(table)}` };
}

/** A table behind a feed, by its full name. */
export const namedTable = (at: TableAddress, table: string): TableName => named(at.source, table);
/** The view that readers query. */
export const domainTable = (at: TableAddress): TableName => named(at.source, at.name);
/** The ReplacingMergeTree under the view. */
export const rowsTable = (at: TableAddress): TableName => named(at.source, `${at.name}__rows`);
/** The quarantine of refused rows. */
export const rejectsTable = (at: TableAddress): TableName =>
  named(at.source, `${at.name}__rejects`);
/** One workflow's private table. */
export const stagingTable = (at: TableAddress, workflowId: string): TableName =>
  named(at.source, `${at.name}__stg_${workflowId}`);
/** What the names of a workflow's further private tables begin with. */
export const privatePrefix = (at: TableAddress, workflowId: string): string =>
  `${stagingTable(at, workflowId).table}__`;
/** One workflow's private quarantine. */
export const stagingRejectsTable = (at: TableAddress, workflowId: string): TableName =>
  named(at.source, `${at.name}__stg_${workflowId}__rejects`);
/** The rejects that a replay casts anew, until all of its rows are staged. */
export const replayingTable = (at: TableAddress, workflowId: string): TableName =>
  named(at.source, `${at.name}__stg_${workflowId}__replaying`);
/** The same once they are: what became of each reject. */
export const replayedTable = (at: TableAddress, workflowId: string): TableName =>
  named(at.source, `${at.name}__stg_${workflowId}__replayed`);
/** An empty rows table that another version of its feed could not use, until it is dropped. */
export const outdatedTable = (at: TableAddress, id: string): TableName =>
  named(at.source, `${at.name}__stg_${id}__outdated`);
/** A table that one attempt fills, until it is whole and takes the staging table's name. */
export const buildTable = (at: TableAddress, workflowId: string, attempt: number): TableName =>
  named(at.source, `${buildPrefix(at, workflowId)}${attempt}`);
export const buildPrefix = (at: TableAddress, workflowId: string): string =>
  `${at.name}__stg_${workflowId}__build_`;
/** A custom domain table's query while one attempt runs it. */
export const queryView = (at: TableAddress, workflowId: string, attempt: number): TableName =>
  named(at.source, `${buildPrefix(at, workflowId)}${attempt}_query`);
/** The rows that a workflow replaced, for as long as they can come back. */
export const keptTable = (at: TableAddress, workflowId: string): TableName =>
  named(at.source, `${keptPrefix(at)}${workflowId}`);
/** What was kept for another workflow before, until it is dropped with the private tables of the one that replaced it. */
export const keptBeforeTable = (at: TableAddress, workflowId: string, keptFor: string): TableName =>
  named(at.source, `${privatePrefix(at, workflowId)}before_${keptFor}`);
export const keptPrefix = (at: TableAddress): string => `${at.name}__kept_`;
/** One source's view for identity resolution. */
export const stitchView = (source: string): TableName => named(source, STITCH_VIEW);
/** The staging table while one attempt publishes it; `doubts` counts its exchanges so far of which nobody knew what came of them. */
export const publishingTable = (
  at: TableAddress,
  workflowId: string,
  attempt: number,
  doubts: number = 0,
): TableName =>
  named(
    at.source,
    `${publishingPrefix(at, workflowId)}${attempt}${doubts === 0 ? "" : `_${doubts}`}`,
  );
export const publishingPrefix = (at: TableAddress, workflowId: string): string =>
  `${at.name}__pub_${workflowId}_`;

/** Refuses names that would reach into the server's own databases or into another feed's tables. */
export function assertTableAddress(at: TableAddress): void {
  const refuse = (message: string): never => {
    const code: Code<"load"> = "rejected";
    throw new StageError("load", code, message);
  };
  if (at.source === "" || at.name === "") refuse("a source and a feed need a name");
  if (SERVER_DATABASES.has(at.source.toLowerCase())) {
    refuse(`the source name ${JSON.stringify(at.source)} is ClickHouse's own`);
  }
  if (RESERVED.test(at.name)) {
    refuse(`the feed name ${JSON.stringify(at.name)} is reserved for the tables behind a feed`);
  }
}
