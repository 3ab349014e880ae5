import { create } from "@bufbuild/protobuf";
import { type Resolution, ResolutionSchema } from "@sluice/api/control/v1/action_pb";
import { ActionKind, Stage } from "@sluice/api/control/v1/failure_pb";
import { partsOf, pgpCredentialsOf } from "../../couriers/courier-files.ts";
import { courierOffers, type Offer } from "./courier-offers.ts";
import type { Situation } from "./situation.ts";

/** What an action offers: the ways out of its failure first, then what may always be tried. */
export function resolutionsOf(situation: Situation): Resolution[] {
  const offers: (Offer | undefined)[] = [
    ...courierOffers(situation),
    updateCredential(situation),
    attachObject(situation),
    raiseThreshold(situation),
    ignoreMissing(situation),
    skipTask(situation),
    excludeFeeds(situation),
    retryFailedFeeds(situation),
    {
      id: "retry_task",
      title: "Try the task again, with the file as it is in the bucket now.",
      how: { case: "retryTask", value: { taskId: situation.task.id } },
    },
    {
      id: "restart_workflow",
      title:
        "Give this workflow up, and run it anew with the courier and the feeds as they are now.",
      how: { case: "restartWorkflow", value: { workflowId: situation.workflow.id } },
    },
  ];
  return offers.flatMap((offer) => (offer === undefined ? [] : [create(ResolutionSchema, offer)]));
}

function updateCredential(situation: Situation): Offer | undefined {
  const { action, plan, courier, object, credentials } = situation;
  const current = courier ?? plan.courier;
  const isOfBucket =
    action.kind === ActionKind.INVALID_BUCKET_NAME ||
    action.kind === ActionKind.INVALID_CREDENTIALS;
  const isOfKeys = action.kind === ActionKind.PGP_ERROR;
  const [pgp] = pgpCredentialsOf(
    partsOf(current).filter(({ fileTag }) => fileTag === object?.file_tag),
  );
  const id = isOfBucket ? current.credentialId : isOfKeys ? pgp : undefined;
  const credential = id === undefined ? undefined : credentials.get(id);
  if (id === undefined || credential === undefined) return undefined;
  const paths = isOfKeys
    ? ["pgp.private_key_block", "pgp.passphrase"]
    : action.kind === ActionKind.INVALID_BUCKET_NAME
      ? ["iam_role_to_role.bucket", "access_key.bucket"]
      : ["iam_role_to_role.target_role_arn", "access_key.access_key_id"];
  return {
    id: "update_credential",
    title: `Correct the credential ${credential.name}, then try again: by this call, or before it.`,
    how: {
      case: "updateCredential",
      value: { credentialId: id, ...credential, updateMask: { paths } },
    },
  };
}

const OF_THE_BYTES: ReadonlySet<Stage> = new Set([
  Stage.FETCH,
  Stage.DECRYPT,
  Stage.DECOMPRESS,
  Stage.PARSE,
  Stage.CAST,
]);

/** Whether other bytes may help; not where no byte was looked at. */
function isOfTheFile({ failure, object }: Situation): boolean {
  return object !== undefined && OF_THE_BYTES.has(failure.stage);
}

function attachObject(situation: Situation): Offer | undefined {
  const { object } = situation;
  if (object === undefined || !isOfTheFile(situation)) return undefined;
  return {
    id: "attach_object",
    title: "Read an uploaded file, or another object of the bucket, in the place of this one.",
    how: { case: "attachObject", value: { bucket: object.bucket, key: object.key } },
  };
}

function raiseThreshold({ failure, plan, task }: Situation): Offer | undefined {
  const feed = plan.feeds.find(({ feedId }) => feedId === task.feed_id);
  if (failure.code !== "threshold_exceeded" || feed === undefined) return undefined;
  return {
    id: "raise_threshold_once",
    title: "Let so many rows be rejected in this workflow; the feed stays as it is.",
    how: {
      case: "raiseThresholdOnce",
      value: {
        feedId: feed.feedId,
        percent: feed.spec?.errorThresholdPercent ?? 1,
        leastPercent: leastPercent(failure.message),
      },
    },
  };
}

/** Of "3 of 40 rows were rejected": the least whole percentage that lets them pass. */
export function leastPercent(message: string): number {
  const [, rejected, rows] = /^(\d+) of (\d+) rows/.exec(message) ?? [];
  if (rejected === undefined || rows === undefined) return 100;
  return Math.min(100, Math.ceil((Number(rejected) * 100) / Number(rows)));
}

function ignoreMissing({ failure, object, workflow }: Situation): Offer | undefined {
  const isFile = failure.code === "file_not_found" && !workflow.skip_missing_files;
  const isEntry = failure.code === "entry_missing" && object !== undefined;
  if (!isFile && !isEntry) return undefined;
  return {
    id: "ignore_missing_once",
    title: "Go on without what is missing, in this workflow alone.",
    how: { case: "ignoreMissingOnce", value: { missing: failure.expected } },
  };
}

function skipTask(situation: Situation): Offer | undefined {
  const { object, task, feeds } = situation;
  const feed = feeds.find(({ feedId }) => feedId === task.feed_id);
  // Without any file, a truncate and load would leave an empty table.
  if (object === undefined || task.variant !== "" || feed === undefined || feed.loads < 2) {
    return undefined;
  }
  return {
    id: "skip_task",
    title: "Go on without this file: nothing of it is loaded into this feed.",
    how: { case: "skipTask", value: { taskId: task.id } },
  };
}

function excludeFeeds({ feeds, task, workflow }: Situation): Offer | undefined {
  const feedId = task.feed_id;
  if (feedId === null || workflow.state !== "failed") return undefined;
  if (!feeds.some((feed) => feed.feedId !== feedId)) return undefined;
  return {
    id: "exclude_feeds",
    title: "Go on without this feed: the others are published.",
    how: { case: "excludeFeeds", value: { feedIds: [feedId] } },
  };
}

function retryFailedFeeds({ feeds, workflow }: Situation): Offer | undefined {
  const open = feeds.filter(({ isPublished }) => !isPublished);
  const failed = open.filter(({ unfinished }) => unfinished > 0);
  if (workflow.state !== "failed" || failed.length === 0 || failed.length === feeds.length) {
    return undefined;
  }
  return {
    id: "retry_failed_feeds",
    title: "Publish the feeds that are whole now, and try the others again.",
    how: { case: "retryFailedFeeds", value: { feedIds: failed.map(({ feedId }) => feedId) } },
  };
}
