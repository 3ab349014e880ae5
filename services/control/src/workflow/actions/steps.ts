import { ActionKind } from "@sluice/api/control/v1/failure_pb";
import type { Situation } from "./situation.ts";

/** What a person reads before choosing a resolution, step by step. */
export function stepsOf({ action, failure, workflow, object, plan }: Situation): string[] {
  const name = object === undefined ? "the file" : `s3://${object.bucket}/${object.key}`;
  const courier =
    workflow.courier_name === "" ? "the courier" : `the courier ${workflow.courier_name}`;
  const seen = failure.seen === "" ? "" : ` What was seen: ${failure.seen}.`;
  const wanted = failure.expected === "" ? "" : ` What was expected: ${failure.expected}.`;
  const facts = `${failure.message}${seen}${wanted}`;
  switch (action.kind) {
    case ActionKind.BAD_ARCHIVE:
      return [
        facts,
        `Ask whoever made ${name} for a sound copy: its container was recognised, and what is in it is damaged.`,
        "Upload the new file by UploadReplacement and attach it to this action; or put it where it lay in the bucket.",
        "Resolve the action to try again.",
      ];
    case ActionKind.INVALID_BUCKET_NAME:
      return [
        facts,
        "Open the AWS console, and verify the bucket's name and region.",
        `Open ${courier} and its credential, and correct the bucket's name.`,
        "Resolve the action to try again.",
      ];
    case ActionKind.INVALID_CREDENTIALS:
      return [
        facts,
        `Open the credential that ${courier} uses (${plan.courier.credentialId}), and review it: role, external id, keys.`,
        "Correct the credential, or the trust policy of the customer's role.",
        "Resolve the action to try again: the credential is read anew.",
      ];
    case ActionKind.MISSING_FILE:
      return [
        facts,
        object === undefined
          ? "Put the file where the courier expects it."
          : `Add what is missing to ${name}, and put the archive where it lay.`,
        `If it need not be there, make it optional in ${courier}, or go on without it this once.`,
        "Resolve the action to try again.",
      ];
    case ActionKind.PGP_ERROR:
      return [
        facts,
        "Open the PGP credential, and verify that it holds the private key and its passphrase.",
        `Verify that ${name} was encrypted to that key. If it was not, have it encrypted anew, and upload or attach the new file.`,
        "Resolve the action to try again.",
      ];
    case ActionKind.UNABLE_TO_DECOMPRESS:
      return [
        facts,
        `Verify the settings of the archive in ${courier}: its name, its kind, its compression.`,
        "If the file is no archive, let the courier take it for a plain file.",
        `If the contents are at fault, put a sound archive in the place of ${name}, or attach one.`,
        "Resolve the action to try again.",
      ];
    case ActionKind.SCHEMA_MISMATCH:
      return [
        facts,
        "Make the file match the feed, and put it where it lay or attach it.",
        "Or change the feed and activate it, then restart the workflow: a workflow keeps the feeds it began with.",
      ];
    case ActionKind.THRESHOLD_EXCEEDED:
      return [
        facts,
        "Read the rejected rows of this workflow.",
        "Correct the file or the feed and restart; or raise the threshold for this workflow alone.",
      ];
    case ActionKind.FIX_FILE_OR_SETTINGS:
      return [
        facts,
        `Correct ${name}, and put it where it lay or attach it; or correct its settings in ${courier}.`,
        "Resolve the action to try again.",
      ];
    case ActionKind.RESTART:
      return [facts, failure.advice, "Restart the workflow."];
    default:
      return [facts, failure.advice, "Try the task again, or restart the workflow."];
  }
}
