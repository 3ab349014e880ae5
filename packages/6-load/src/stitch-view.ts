import { StageError } from "@sluice/errors";
import type { Feed, Field } from "@sluice/schema";
import { includedFields } from "./columns.ts";
import { quoteIdentifier, quoteText } from "./quoting.ts";
import { domainTable, stitchView } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

const OWN_COLUMNS = ["_feed", "_pk"];

/** A value as text that another system reads: ISO dates and times, digits, `true` and `false`. */
function asText({ name, type }: Field): string {
  const column = quoteIdentifier(name);
  const text = `toNullable(toString(${column}))`;
  return type.kind === "datetime" ? `concat(replaceOne(${text}, ' ', 'T'), 'Z')` : text;
}

/**
 * The columns of the view that a feed fills. Where several of its fields bear one tag, the second is
 * `tag-2` and so on, but no name that is a tag itself.
 */
function tagColumns(feed: Feed, isTag: ReadonlySet<string>): Map<string, Field> {
  const columns = new Map<string, Field>();
  for (const field of includedFields(feed)) {
    for (const tag of new Set(field.semanticTags)) {
      let name = OWN_COLUMNS.includes(tag) ? `${tag}-1` : tag;
      for (let n = 2; columns.has(name) || (name !== tag && isTag.has(name)); n++) {
        name = `${tag}-${n}`;
      }
      columns.set(name, field);
    }
  }
  return columns;
}

/**
 * Makes `<source>.__stitch`: the rows of all given feeds that are made available to identity resolution,
 * under one column for each semantic tag. `_feed` is the feed's name, `_pk` its primary key values as a
 * JSON array of text; the tags are Nullable(String). Domain tables, and columns of them, that are not
 * there yet are left out. Without a feed the view is dropped. May be called again, and by several at once.
 */
export async function prepareStitchView(
  warehouse: Warehouse,
  source: string,
  feeds: readonly Feed[],
): Promise<void> {
  const foreign = feeds.find((feed) => feed.source !== source);
  if (foreign !== undefined) {
    throw new StageError(
      "load",
      "rejected",
      `the feed ${JSON.stringify(foreign.name)} belongs to another source than ${JSON.stringify(source)}`,
    );
  }
  const view = stitchView(source);
  const there = await domainColumns(warehouse, source);
  const available = feeds
    .filter(({ makeAvailableToStitch, name }) => makeAvailableToStitch && there.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (available.length === 0) {
    if (there.has(view.table)) await warehouse.execute(`DROP VIEW IF EXISTS ${view.sql} SYNC`);
    return;
  }
  const isTag = new Set(
    available.flatMap((feed) => includedFields(feed).flatMap(({ semanticTags }) => semanticTags)),
  );
  const filled = available.map((feed) => ({ feed, columns: tagColumns(feed, isTag) }));
  const names = [...new Set(filled.flatMap(({ columns }) => [...columns.keys()]))].sort();
  const selects = filled.map(({ feed, columns }) => {
    const has = there.get(feed.name);
    const key = feed.primaryKey.map((name) => `toString(${quoteIdentifier(name)})`);
    const tags = names.map((name) => {
      const field = columns.get(name);
      const value =
        field === undefined || has?.has(field.name) !== true
          ? "CAST(NULL, 'Nullable(String)')"
          : asText(field);
      return `${value} AS ${quoteIdentifier(name)}`;
    });
    return `SELECT ${[
      `${quoteText(feed.name)} AS _feed`,
      `toJSONString([${key.join(", ")}]) AS _pk`,
      ...tags,
    ].join(", ")} FROM ${domainTable({ source, name: feed.name }).sql}`;
  });
  await warehouse.execute(`CREATE OR REPLACE VIEW ${view.sql} AS ${selects.join(" UNION ALL ")}`);
}

/** The columns of the views that stand in the source's database, by the view's name. */
async function domainColumns(
  warehouse: Warehouse,
  source: string,
): Promise<Map<string, ReadonlySet<string>>> {
  const found = await warehouse.query<{ view: string; columns: string[] }>(
    "SELECT table AS view, groupArray(name) AS columns FROM system.columns WHERE database = {source:String} GROUP BY table",
    { source },
  );
  return new Map(found.map(({ view, columns }) => [view, new Set(columns)]));
}
