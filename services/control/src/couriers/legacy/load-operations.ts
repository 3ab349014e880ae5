import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import { type FeedLoadSchema, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import type { Entities } from "./entities.ts";
import { withSparkOptions } from "./land-as.ts";
import { type JsonValueAt, refuseOthers, textOf } from "./legacy-document.ts";
import type { Report } from "./report.ts";

export type LoadInit = Exclude<MessageInitShape<typeof FeedLoadSchema>, Message>;

/** What stands outside of the load operations, and they refer to. */
export interface LoadReferences {
  readonly entities: Entities;
  /** Our feed for each of theirs; an empty one leaves it out. */
  readonly feedIds: Readonly<Record<string, string>>;
  /** SQL for each name of an ingest query. */
  readonly queries: Readonly<Record<string, string>>;
  readonly report: Report;
}

/** The documented way to get files without loading them: an id that no feed has. */
const MADE_UP = /^df-x+$/i;

const OWN_FEED = /^feed_/;

/** Reads load operations. */
export function readLoadOperations(root: JsonValueAt, references: LoadReferences): LoadInit[] {
  const { report } = references;
  if (root.kind !== "object") {
    const message = "the load operations are not an object";
    report.error(root, "wrong_type", message, 'name each feed as a member: {"FEED_ID": [...]}');
    return [];
  }
  if (root.members.size === 0) {
    const message =
      "no load operations: the courier lists its files, for feeds to be made of, and loads nothing";
    report.info(root, "loads_nothing", message, "");
  }
  return [...root.members].flatMap(([legacyId, operations]) => {
    const feedId = feedIdOf(legacyId, operations, references);
    return feedId === undefined ? [] : readFeed(feedId, operations, references);
  });
}

function feedIdOf(
  legacyId: string,
  at: JsonValueAt,
  { feedIds, report }: LoadReferences,
): string | undefined {
  const mapped = Object.hasOwn(feedIds, legacyId) ? feedIds[legacyId] : undefined;
  if (mapped === "") {
    report.info(at, "feed_left_out", `the operations of ${legacyId} are left out, as asked`, "");
    return undefined;
  }
  if (mapped !== undefined) return mapped;
  if (OWN_FEED.test(legacyId)) return legacyId;
  if (MADE_UP.test(legacyId)) {
    const message = `${legacyId} is a made-up feed id, the trick to get files and stop with "Cannot find required feeds"; its operations are left out`;
    const suggestion = "write {} for a courier that loads nothing";
    report.warning(at, "feed_made_up", message, suggestion);
    return undefined;
  }
  const message = `no feed of ours is named for ${legacyId}`;
  const suggestion = `give feed_ids[${JSON.stringify(legacyId)}]; empty leaves it out, as for a made-up id`;
  report.error(at, "feed_unknown", message, suggestion);
  return undefined;
}

function readFeed(feedId: string, at: JsonValueAt, references: LoadReferences): LoadInit[] {
  const { report } = references;
  if (at.kind !== "array") {
    report.error(at, "wrong_type", "the operations of a feed are not an array", "put them in [ ]");
    return [];
  }
  const loads: { readonly at: JsonValueAt; readonly load: LoadInit }[] = [];
  let truncate: JsonValueAt | undefined;
  for (const [index, operation] of at.items.entries()) {
    const type = textOf(operation, "type", report);
    switch (type) {
      case "truncate":
        refuseOthers(operation, ["type"], report);
        truncate = operation;
        if (index > 0) {
          const message = "truncate comes first wherever it stands: the rows are replaced at once";
          report.info(operation, "truncate_first", message, "");
        }
        break;
      case "load": {
        const load = readLoad(operation, references);
        if (load !== undefined) loads.push({ at: operation, load });
        break;
      }
      case "spark-sql": {
        const load = readQuery(operation, references);
        if (load !== undefined) loads.push({ at: operation, load });
        break;
      }
      default:
        refuseType(operation, type, report);
    }
  }
  assertOneKind(loads, report);
  if (at.items.length === 0) {
    report.warning(at, "loads_nothing", "no operation: nothing is loaded into this feed", "");
  } else if (truncate !== undefined && loads.length === 0 && !report.hasErrors()) {
    const message = "a truncate without a load would leave an empty table";
    const suggestion = "add a load, or call DomainTableService.TruncateDomainTable once";
    report.error(truncate, "truncate_alone", message, suggestion);
  }
  const operation = truncate === undefined ? LoadOperation.LOAD : LoadOperation.TRUNCATE_AND_LOAD;
  return loads.map(({ load }) => ({
    ...load,
    feed: { case: "feedId", value: feedId },
    operation,
  }));
}

function refuseType(at: JsonValueAt, type: string | undefined, report: Report): void {
  const place = at.members.get("type") ?? at;
  const suggestion = 'write "load", "truncate" or "spark-sql"';
  if (type === undefined) {
    if (!at.members.has("type")) report.error(place, "type_missing", "no type", suggestion);
    return;
  }
  const why =
    type === "OPERATION"
      ? "is the placeholder of the documentation"
      : type === "upsert"
        ? "is what a load does: rows with the same primary key are replaced"
        : "is no type of operation";
  report.error(place, "type_unknown", `${JSON.stringify(type)} ${why}`, suggestion);
}

function readLoad(at: JsonValueAt, { entities, report }: LoadReferences): LoadInit | undefined {
  refuseOthers(at, ["type", "file"], report);
  const fileTag = readTag(at, entities, report);
  return fileTag === undefined ? undefined : { fileTag };
}

function readTag(at: JsonValueAt, { byTag }: Entities, report: Report): string | undefined {
  const tag = textOf(at, "file", report);
  const place = at.members.get("file") ?? at;
  const tags = [...byTag.keys()].map((each) => JSON.stringify(each)).join(", ");
  if (tag === undefined || !byTag.has(tag)) {
    const message = tag === undefined ? "no file" : `no entity has the tag ${JSON.stringify(tag)}`;
    report.error(place, "tag_unknown", message, `write one of ${tags || "the entities' tags"}`);
    return undefined;
  }
  return tag;
}

const QUERY = ["type", "spark-sql-files", "spark-sql-query"];

function readQuery(at: JsonValueAt, references: LoadReferences): LoadInit | undefined {
  const { entities, queries, report } = references;
  refuseOthers(at, QUERY, report);
  const files = at.members.get("spark-sql-files");
  const fileTags: string[] = [];
  for (const file of files?.items ?? []) {
    refuseOthers(file, ["file", "options", "schema"], report);
    const tag = readTag(file, entities, report);
    if (tag === undefined) continue;
    fileTags.push(tag);
    const options = file.members.get("options");
    const entity = entities.byTag.get(tag);
    if (options !== undefined && entity?.settings.format !== undefined) {
      entity.settings.format = withSparkOptions(entity.settings.format, options, report);
    }
    const schema = file.members.get("schema");
    if (schema !== undefined) {
      const message = "the schema is left out: a query sees the columns that the file has";
      report.info(schema, "schema_left_out", message, "");
    }
  }
  if (files === undefined || files.items.length === 0) {
    const message = "a spark-sql operation without spark-sql-files";
    report.error(at, "files_missing", message, 'write "spark-sql-files": [{"file": "FILE_TAG"}]');
  }
  const name = textOf(at, "spark-sql-query", report) ?? "";
  const sql = Object.hasOwn(queries, name) ? queries[name] : undefined;
  if (sql === undefined || sql === "") {
    const place = at.members.get("spark-sql-query") ?? at;
    const message = `the ingest query ${JSON.stringify(name)} is not in this document, and Spark SQL is not translated`;
    const suggestion = `give it as ClickHouse SQL in ingest_queries[${JSON.stringify(name)}], each tag a table`;
    report.error(place, "query_missing", message, suggestion);
    return undefined;
  }
  return fileTags.length === 0 ? undefined : { ingestQuery: { sql, fileTags } };
}

/** A feed is filled by files, or by one query. */
function assertOneKind(
  loads: readonly { readonly at: JsonValueAt; readonly load: LoadInit }[],
  report: Report,
): void {
  if (loads.length < 2) return;
  for (const { at, load } of loads) {
    if (load.ingestQuery === undefined) continue;
    const message = "a feed is filled by files or by one query, not by several of them";
    report.error(at, "query_not_alone", message, "make one query of them, with union all");
    return;
  }
}
