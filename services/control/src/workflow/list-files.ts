import { create, fromJson, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type MissingFile,
  MissingFileSchema,
  type WorkflowFile,
  WorkflowFileSchema,
} from "@sluice/api/control/v1/workflow_file_pb";
import type {
  ListWorkflowFilesRequest,
  ListWorkflowFilesResponseSchema,
} from "@sluice/api/control/v1/workflow_service_pb";
import { type Selectable, sql } from "kysely";
import type { ManifestObjectTable } from "../database/schema.ts";
import { toPage } from "../resources/page.ts";
import type { EngineContext } from "./context.ts";
import { readRow } from "./read-workflow.ts";

/** A page of what a workflow's newest listing found; NOT_FOUND when there is no such workflow. */
export async function listWorkflowFiles(
  context: EngineContext,
  request: ListWorkflowFilesRequest,
): Promise<MessageInitShape<typeof ListWorkflowFilesResponseSchema>> {
  const { id, tenant } = await readRow(context, request.id);
  const page = toPage(request, ["workflow files", id]);
  const attempt = await newestAttempt(context, tenant, id);
  const [afterPage = -1, afterPosition = -1] = (page.after ?? []).map(Number);
  const found = await context.kysely
    .selectFrom("manifest_object")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", id)
    .where("attempt", "=", attempt)
    .where(sql<boolean>`(page, position) > (${afterPage}::integer, ${afterPosition}::integer)`)
    .orderBy("page")
    .orderBy("position")
    .limit(page.size + 1)
    .execute();
  const { rows, nextPageToken } = page.cut(found, (row) => [
    String(row.page),
    String(row.position),
  ]);
  const unchanged = await unchangedFeeds(context, tenant, id, rows);
  return {
    files: rows.map((row) => toFile(row, unchanged.get(placeOf(row)) ?? [])),
    missing: page.after === undefined ? await missingFiles(context, tenant, id, attempt) : [],
    nextPageToken,
  };
}

/** The attempt of the list that told of files last. */
async function newestAttempt(
  { kysely }: EngineContext,
  tenant: string,
  workflowId: string,
): Promise<number> {
  const attempts = ["manifest_object", "missing_file"] as const;
  let newest = 0;
  for (const table of attempts) {
    const row = await kysely
      .selectFrom(table)
      .select((each) => each.fn.max("attempt").as("attempt"))
      .where("tenant", "=", tenant)
      .where("workflow_id", "=", workflowId)
      .executeTakeFirst();
    newest = Math.max(newest, row?.attempt ?? 0);
  }
  return newest;
}

async function missingFiles(
  { kysely }: EngineContext,
  tenant: string,
  workflowId: string,
  attempt: number,
): Promise<MissingFile[]> {
  const rows = await kysely
    .selectFrom("missing_file")
    .select("file")
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflowId)
    .where("attempt", "=", attempt)
    .orderBy("page")
    .orderBy("position")
    .execute();
  return rows.map(({ file }) => fromJson(MissingFileSchema, file, { ignoreUnknownFields: true }));
}

type Place = Pick<Selectable<ManifestObjectTable>, "page" | "position">;

function placeOf({ page, position }: Place): string {
  return `${page}/${position}`;
}

/** The feeds into which each object is not loaded again, by the object's place. */
async function unchangedFeeds(
  { kysely }: EngineContext,
  tenant: string,
  workflowId: string,
  places: readonly Place[],
): Promise<ReadonlyMap<string, string[]>> {
  const byPlace = new Map<string, string[]>();
  const pages = [...new Set(places.map(({ page }) => page))];
  if (pages.length === 0) return byPlace;
  const rows = await kysely
    .selectFrom("unchanged_object")
    .select(["feed_id", "page", "position"])
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflowId)
    .where("page", "in", pages)
    .orderBy("feed_id")
    .execute();
  for (const row of rows) {
    byPlace.set(placeOf(row), [...(byPlace.get(placeOf(row)) ?? []), row.feed_id]);
  }
  return byPlace;
}

function toFile(
  row: Selectable<ManifestObjectTable>,
  unchangedFeedIds: readonly string[],
): WorkflowFile {
  return create(WorkflowFileSchema, {
    object: {
      key: row.key,
      size: BigInt(row.size),
      etag: row.etag,
      ...(row.modify_time === null ? {} : { modifyTime: timestampFromDate(row.modify_time) }),
    },
    versionId: row.version_id,
    date: row.date,
    fileTag: row.file_tag,
    unchangedFeedIds: [...unchangedFeedIds],
  });
}
