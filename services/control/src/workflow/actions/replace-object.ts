import { Code, ConnectError } from "@connectrpc/connect";
import type { ResolveActionRequest } from "@sluice/api/control/v1/workflow_service_pb";
import { notFound } from "../../resources/resource-errors.ts";
import type { Change } from "../change.ts";
import type { PinnedObject, TaskRow } from "../context.ts";
import type { OpenFailure } from "./open-failures.ts";
import type { Prepared } from "./prepare-resolution.ts";
import { beginAnew, runAgain } from "./resume.ts";
import type { ObjectRow } from "./situation.ts";

/** Puts other bytes in the place of an object: every feed that is not published is loaded from them. */
export async function attachReplacement(
  change: Change,
  { object }: OpenFailure,
  { input }: ResolveActionRequest,
  { pins }: Prepared,
): Promise<void> {
  if (object === undefined) throw new Error("a file is replaced where there is none");
  if (input.case === "replacementId") {
    const kept = await change.trx
      .selectFrom("replacement")
      .selectAll()
      .where("tenant", "=", change.tenant)
      .where("id", "=", input.value)
      .where("workflow_id", "=", change.workflow.id)
      .executeTakeFirst();
    if (kept === undefined) throw notFound("replacement", input.value);
    const pin = { etag: kept.etag, versionId: kept.version_id, size: kept.size };
    await replace(change, object, { pin, readKey: kept.key, replacementId: kept.id });
    change.set.warnings.push(
      `${object.key} was replaced by an uploaded file of ${kept.size} bytes, SHA-256 ${kept.sha256}.`,
    );
    return;
  }
  const [key, pin] = [...pins][0] ?? [];
  if (key === undefined || pin === undefined) throw new Error("nothing was pinned");
  await replace(change, object, { pin, readKey: key, replacementId: null });
  change.set.warnings.push(`${object.key} was replaced by the object ${key}.`);
}

/** Reads the version that is in the bucket now, if it is another one than the workflow froze. */
export async function repin(
  change: Change,
  object: ObjectRow,
  pins: Prepared["pins"],
): Promise<void> {
  const pin = pins.get(object.read_key === "" ? object.key : object.read_key);
  if (pin === undefined || object.replacement_id !== null) return;
  if (pin.etag === object.etag && pin.versionId === object.version_id) return;
  await replace(change, object, { pin, readKey: object.read_key, replacementId: null }, "redo");
  change.set.warnings.push(`${object.key} was read anew: it had been replaced in the bucket.`);
}

interface Place {
  readonly pin: PinnedObject;
  readonly readKey: string;
  readonly replacementId: string | null;
}

/** The loads that failed wait again here, unless the caller sees to that (`redo`). */
async function replace(
  change: Change,
  object: ObjectRow,
  { pin, readKey, replacementId }: Place,
  failed: "again" | "redo" = "again",
): Promise<void> {
  const { trx, tenant, workflow } = change;
  const tasks = await trx
    .selectFrom("task")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .where("kind", "=", "load")
    .where("page", "=", object.page)
    .where("position", "=", object.position)
    .where("state", "<>", "skipped")
    .execute();
  // What an ingest query read can't be taken back file by file.
  if (await isRead(change, tasks)) {
    // The frozen version is tried again.
    if (failed === "redo") return;
    throw new ConnectError(
      `an ingest query has read ${object.key} already: restart the workflow instead`,
      Code.FailedPrecondition,
    );
  }
  const published = await publishedFeeds(change);
  const open = tasks.filter(({ feed_id }) => !published.has(feed_id));
  const busy = open.find(({ state }) => state === "running" || state === "waiting");
  if (busy !== undefined) {
    throw new ConnectError(
      `${object.key} is still being loaded into feed ${busy.feed_id}: wait until the workflow rests`,
      Code.FailedPrecondition,
    );
  }
  await trx
    .updateTable("manifest_object")
    .set({
      etag: pin.etag,
      version_id: pin.versionId,
      size: pin.size,
      read_key: readKey,
      replacement_id: replacementId,
    })
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .where("page", "=", object.page)
    .where("position", "=", object.position)
    .execute();
  await beginAnew(change, open);
  await setSize(change, open, pin.size);
  for (const task of open) {
    const isFailed = task.state === "failed";
    if (task.state === "succeeded" || (isFailed && failed === "again")) {
      await runAgain(change, task, true);
    }
  }
}

/** Whether a query that reads the files of these tasks was begun. */
async function isRead(
  { trx, tenant, workflow }: Change,
  tasks: readonly TaskRow[],
): Promise<boolean> {
  const feedIds = tasks.flatMap(({ variant, feed_id }) =>
    variant === "query_file" && feed_id !== null ? [feed_id] : [],
  );
  if (feedIds.length === 0) return false;
  const begun = await trx
    .selectFrom("task")
    .select("id")
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .where("variant", "=", "query")
    .where("feed_id", "in", feedIds)
    .where("attempt", ">", 0)
    .executeTakeFirst();
  return begun !== undefined;
}

async function setSize(change: Change, tasks: readonly TaskRow[], size: number): Promise<void> {
  if (tasks.length === 0) return;
  for (const task of tasks) change.set.bytesTotal += size - task.bytes_total;
  await change.trx
    .updateTable("task")
    .set({ bytes_total: size })
    .where("tenant", "=", change.tenant)
    .where(
      "id",
      "in",
      tasks.map(({ id }) => id),
    )
    .execute();
}

async function publishedFeeds({
  trx,
  tenant,
  workflow,
}: Change): Promise<ReadonlySet<string | null>> {
  const rows = await trx
    .selectFrom("task")
    .select("feed_id")
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .where("kind", "=", "publish")
    .where("state", "=", "succeeded")
    .execute();
  return new Set(rows.map(({ feed_id }) => feed_id));
}
