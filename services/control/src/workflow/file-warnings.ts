import { sql } from "kysely";
import type { Change } from "./change.ts";
import { feedOf, fileTagsOfFeed, type Plan } from "./plan.ts";

/** Names that one warning tells. */
const MAX_NAMED = 10;

/** How many files a feed has in the frozen manifest. */
export interface FoundFiles {
  /** Those that are loaded. */
  readonly loads: number;
  /** Those that are passed over, because the table has their rows. */
  readonly unchanged: number;
}

/** Says what is not loaded into a feed, and why. */
export function warnOfUnloaded(
  change: Change,
  plan: Plan,
  feedId: string,
  { loads, unchanged }: FoundFiles,
): void {
  const { source, name } = feedOf(plan, feedId);
  const table = `${source}.${name}`;
  if (loads + unchanged === 0) {
    change.set.warnings.push(`No file was found for ${table}: its domain table stays as it is.`);
  } else if (loads === 0) {
    change.set.warnings.push(
      `${files(unchanged)} unchanged since loaded into ${table}, skipped: its domain table stays as it is.`,
    );
  } else if (unchanged > 0) {
    change.set.warnings.push(`${files(unchanged)} unchanged since loaded into ${table}, skipped.`);
  }
}

function files(count: number): string {
  return count === 1 ? "1 file is" : `${count} files are`;
}

/** Says which of a feed's files have the content of another one, loaded before or now, under another name. */
export async function warnOfSameContent(change: Change, plan: Plan, feedId: string): Promise<void> {
  const { source, name } = feedOf(plan, feedId);
  const { rows } = await sql<{ key: string; other: string; day: string | null }>`
    with found as (
      select distinct object.bucket, object.key, object.etag, object.size
      from manifest_object as object
      where object.tenant = ${change.tenant} and object.workflow_id = ${change.workflow.id}
        and object.size > 0 and object.file_tag in (${sql.join(fileTagsOfFeed(plan, feedId))})
        and not exists (
          select 1 from unchanged_object as unchanged
          where unchanged.tenant = object.tenant and unchanged.workflow_id = object.workflow_id
            and unchanged.feed_id = ${feedId} and unchanged.page = object.page
            and unchanged.position = object.position)),
    same as (
      select array[bucket, key] as place, etag, size, null as loaded from found
      union all
      select null, etag, size, array[bucket, key, to_char(load_time at time zone 'UTC', 'YYYY-MM-DD')]
      from loaded_file where tenant = ${change.tenant} and feed_id = ${feedId}
        and (etag in (select etag from found)) is true)
    -- Hashed ("is true" keeps it from becoming a join) and sorted once. Joined, each file found is held against all that were
    -- loaded where no statistics tell how many they are, as in PGlite: 17 seconds for 5,000 of both.
    select place[2] as key, other[2] as other, other[3] as day from (
      select place, case when first[1:2] <> place then first when last[1:2] <> place then last end as other
      from (select place, min(loaded) over alike as first, max(loaded) over alike as last
        from same window alike as (partition by etag, size)) as known
      where place is not null) as told
    where other is not null
    union all
    select key, first, null from (
      select key, first_value(key) over (partition by bucket, etag, size order by key) as first
      from found) as told
    where key <> first
    order by 1, 2`.execute(change.trx);
  for (const { key, other, day } of rows.slice(0, MAX_NAMED)) {
    const loaded = day === null ? "also loaded now" : `loaded on ${day}`;
    change.set.warnings.push(
      `${key} has the same content (ETag and size) as ${other}, ${loaded}, for ${source}.${name}.`,
    );
  }
  if (rows.length > MAX_NAMED) {
    change.set.warnings.push(
      `${rows.length - MAX_NAMED} more files have the same content as others, for ${source}.${name}.`,
    );
  }
}
