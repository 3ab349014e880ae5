import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { IngestQuerySchema, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { FileSettingsSchema } from "@sluice/api/control/v1/file_settings_pb";
import { type Kysely, type RawBuilder, sql } from "kysely";
import { feedIdOf } from "../couriers/courier-feeds.ts";
import { partsOf } from "../couriers/courier-files.ts";
import type { Schema } from "../database/schema.ts";
import type { Tenant } from "../tenant.ts";
import type { Change } from "./change.ts";
import type { TaskRow } from "./context.ts";
import { OBJECT_OF_TASK } from "./object-of-task.ts";
import { entryTagsOfFeed, feedOf, fileTagsOfFeed, type Plan, queryOf } from "./plan.ts";

/**
 * The registry of loaded files: whose rows a domain table has, by feed, key, version, and how the file was read.
 * It changes in the transaction that records a publish's outcome, so it never says more than the table holds.
 */

/**
 * Notes which objects of the frozen manifest need not be loaded, because the feed's table has their rows
 * from the same version, read in the same way. A truncate and load replaces all rows by its fileset's: it is passed
 * over as a whole, when the table holds exactly these files, or not at all. Called once for a workflow.
 */
export async function noteUnchanged(change: Change, plan: Plan): Promise<void> {
  if (change.workflow.reload_unchanged || !isOfCourier(plan)) return;
  for (const { feedId } of plan.feeds) {
    const tags = fileTagsOfFeed(plan, feedId);
    if (tags.length === 0) continue;
    await sql`
      insert into unchanged_object (tenant, workflow_id, feed_id, page, position)
      select object.tenant, object.workflow_id, ${feedId}, object.page, object.position
      from manifest_object as object
      where object.tenant = ${change.tenant} and object.workflow_id = ${change.workflow.id}
        and object.file_tag in (${sql.join(tags)})
        and exists (
          select 1 from loaded_file as loaded
          where loaded.tenant = object.tenant and loaded.feed_id = ${feedId}
            and loaded.bucket = object.bucket and loaded.key = object.key
            and loaded.reading = ${readingOf(plan, feedId)}
            and loaded.etag = object.etag and loaded.version_id = object.version_id
            and loaded.size = object.size)`.execute(change.trx);
    if (isPartlyPassedOver(plan, feedId)) continue;
    if (await isWholeTable(change, plan, feedId)) continue;
    await change.trx
      .deleteFrom("unchanged_object")
      .where("tenant", "=", change.tenant)
      .where("workflow_id", "=", change.workflow.id)
      .where("feed_id", "=", feedId)
      .execute();
  }
}

/** Replays and shadow loads read what others loaded; changes of a table read no file. */
function isOfCourier({ replayOf, comparison, change }: Plan): boolean {
  return replayOf === undefined && comparison === undefined && change === undefined;
}

/** Whether some files of the feed may be passed over while others are loaded. */
function isPartlyPassedOver(plan: Plan, feedId: string): boolean {
  return operationOf(plan, feedId) === LoadOperation.LOAD && queryOf(plan, feedId) === undefined;
}

/**
 * Whether the files found are what the table was filled with: all unchanged, and no others, neither in a table that is
 * replaced nor in the run whose files a query read together.
 */
async function isWholeTable(change: Change, plan: Plan, feedId: string): Promise<boolean> {
  const { rows } = await sql<{ found: number; unchanged: number; loaded: number; runs: number }>`
    with object as (
      select * from manifest_object as object
      where object.tenant = ${change.tenant} and object.workflow_id = ${change.workflow.id}
        and object.file_tag in (${sql.join(fileTagsOfFeed(plan, feedId))})
    ), loaded as (
      select distinct loaded.workflow_id from loaded_file as loaded join object
        on loaded.bucket = object.bucket and loaded.key = object.key
        and loaded.reading = ${readingOf(plan, feedId)}
      where loaded.tenant = ${change.tenant} and loaded.feed_id = ${feedId}
    )
    select
      (select count(*) from object)::bigint as found,
      (select count(*) from unchanged_object
       where tenant = ${change.tenant} and workflow_id = ${change.workflow.id}
         and feed_id = ${feedId})::bigint as unchanged,
      (select count(*) from loaded_file
       where tenant = ${change.tenant} and feed_id = ${feedId}
         and (${isReplaced(plan, feedId)}::boolean
           or workflow_id in (select workflow_id from loaded)))::bigint as loaded,
      (select count(*) from loaded)::bigint as runs
    `.execute(change.trx);
  const [counts] = rows;
  if (counts === undefined || counts.found !== counts.unchanged) return false;
  if (isReplaced(plan, feedId) && !(await isAsReplaced(change, feedId))) return false;
  const isOneQuery = queryOf(plan, feedId) === undefined || counts.runs === 1;
  return isOneQuery && counts.loaded === counts.found;
}

/**
 * Whether nothing was loaded since the last truncate and load: of a file that a later load brought again, with other
 * content, the table may still have rows of the version before.
 */
async function isAsReplaced({ trx, tenant }: Change, feedId: string): Promise<boolean> {
  const last = await trx
    .selectFrom("load_record")
    .select("operation")
    .where("tenant", "=", tenant)
    .where("feed_id", "=", feedId)
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
  return last?.operation === LoadOperation.TRUNCATE_AND_LOAD;
}

function isReplaced(plan: Plan, feedId: string): boolean {
  return operationOf(plan, feedId) === LoadOperation.TRUNCATE_AND_LOAD;
}

/** Keeps which files the publish of a feed made visible, in place of what it knew of them. */
export async function recordLoadedFiles(change: Change, task: TaskRow, plan: Plan): Promise<void> {
  if (!isOfCourier(plan)) return;
  const { feedId } = feedOf(plan, task.feed_id);
  const { tenant, workflow } = change;
  await warnOfLost(change, plan, feedId);
  if (isReplaced(plan, feedId)) {
    await forgetLoadedFiles(change.trx, tenant, feedId);
  }
  const isLoaded = sql`
    task.tenant = ${tenant} and task.workflow_id = ${workflow.id} and task.feed_id = ${feedId}
    and task.kind = 'load' and task.state = 'succeeded' and not task.is_skipped`;
  // Another workflow may have listed later and published earlier: its rows are the newer ones.
  await sql`
    delete from loaded_file using (
      select object.bucket, object.key, task.object_ordinal
      from task cross join ${OBJECT_OF_TASK} where ${isLoaded} offset 0) as mine
    where loaded_file.tenant = ${tenant} and loaded_file.feed_id = ${feedId}
      and loaded_file.bucket = mine.bucket and loaded_file.key = mine.key
      and loaded_file.workflow_id <> ${workflow.id}
      and loaded_file.object_ordinal < mine.object_ordinal`.execute(change.trx);
  await sql`
    insert into loaded_file (tenant, feed_id, bucket, key, reading, etag, version_id, size,
                             object_ordinal, workflow_id)
    select distinct on (object.bucket, object.key, reading) ${tenant}, ${feedId}, object.bucket, object.key,
      ${readingOf(plan, feedId)} as reading, object.etag, object.version_id, object.size,
      task.object_ordinal, ${workflow.id}
    from task cross join ${OBJECT_OF_TASK}
    where ${isLoaded}
      -- What stood in a file's place says nothing about the file that lies in the bucket.
      and object.read_key = ''
      -- Which settings a reopened file's objects were read by is not known: they count as not loaded.
      and object.file_tag <> all(${[...(plan.reopenedTags ?? [])]}::text[])
      and not exists (
        select 1 from loaded_file as later
        where later.tenant = ${tenant} and later.feed_id = ${feedId} and later.bucket = object.bucket
          and later.key = object.key and later.workflow_id <> ${workflow.id})
    order by object.bucket, object.key, reading, task.object_ordinal desc
    on conflict do nothing`.execute(change.trx);
}

/** Says when rows for whose sake files were passed over are gone: another run replaced the table in the meantime. */
async function warnOfLost(change: Change, plan: Plan, feedId: string): Promise<void> {
  const { rows } = await sql<{ lost: number }>`
    select count(*)::bigint as lost
    from unchanged_object as unchanged join manifest_object as object
      on object.tenant = unchanged.tenant and object.workflow_id = unchanged.workflow_id
      and object.page = unchanged.page and object.position = unchanged.position
    where unchanged.tenant = ${change.tenant} and unchanged.workflow_id = ${change.workflow.id}
      and unchanged.feed_id = ${feedId}
      and not exists (
        select 1 from loaded_file as loaded
        where loaded.tenant = unchanged.tenant and loaded.feed_id = ${feedId}
          and loaded.bucket = object.bucket and loaded.key = object.key)`.execute(change.trx);
  const lost = rows[0]?.lost ?? 0;
  if (lost === 0) return;
  const { source, name } = feedOf(plan, feedId);
  change.set.warnings.push(
    `Of the files that were skipped, ${lost} have no rows in ${source}.${name} any more, because another run replaced or removed them meanwhile: run again to load them.`,
  );
}

/**
 * Forgets what was loaded into a feed's table, so that the next run loads it again: all of it, or what one workflow
 * loaded. To be called in the transaction that records that rows were taken away.
 */
export async function forgetLoadedFiles(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  feedId: string,
  of: { readonly workflowId?: string } = {},
): Promise<void> {
  const { workflowId } = of;
  await kysely
    .deleteFrom("loaded_file")
    .where("tenant", "=", tenant)
    .where("feed_id", "=", feedId)
    .$if(workflowId !== undefined, (query) => query.where("workflow_id", "=", workflowId ?? ""))
    .execute();
}

function operationOf({ courier }: Plan, feedId: string): LoadOperation | undefined {
  return courier.loads.find((load) => feedIdOf(load) === feedId)?.operation;
}

/** How an object of the manifest (`object`) is read for a feed: equal for equal rows. */
function readingOf(plan: Plan, feedId: string): RawBuilder<string> {
  const cases = fileTagsOfFeed(plan, feedId).map((tag) => {
    const hash = readingHash(plan, feedId, tag);
    const reading = isDatedInside(plan, tag)
      ? sql`${hash}::text || '/' || object.date`
      : sql`${hash}::text`;
    return sql`when ${tag} then ${reading}`;
  });
  return sql<string>`(case object.file_tag ${sql.join(cases, sql` `)} else '' end)`;
}

function readingHash(plan: Plan, feedId: string, tag: string): string {
  const { version } = feedOf(plan, feedId);
  const settings = plan.courier.files.find((file) => file.tag === tag)?.settings;
  const hash = createHash("sha256");
  if (settings !== undefined) hash.update(toBinary(FileSettingsSchema, settings));
  const query = queryOf(plan, feedId);
  if (query !== undefined) hash.update("\n").update(toBinary(IngestQuerySchema, query));
  hash.update(JSON.stringify([version, entryTagsOfFeed(plan, feedId, tag)]));
  return hash.digest("hex").slice(0, 32);
}

/** Whether what is taken out of an archive depends on the day. */
function isDatedInside({ courier }: Plan, tag: string): boolean {
  return partsOf(courier).some(
    ({ fileTag, entry }) => fileTag === tag && entry?.selection.case === "pattern",
  );
}
