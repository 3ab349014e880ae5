import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PatchCourier, ResolutionSchema } from "@sluice/api/control/v1/action_pb";
import type { Courier } from "@sluice/api/control/v1/courier_pb";
import { ActionKind } from "@sluice/api/control/v1/failure_pb";
import { withArchiveAsFile, withOptionalEntries, withProposedChange } from "./courier-proposals.ts";
import { isOpenedAlike } from "./refresh-plan.ts";
import type { Situation } from "./situation.ts";

export type Offer = MessageInitShape<typeof ResolutionSchema>;

/** What a courier's settings decide: how a file is found and opened. */
const OF_THE_SETTINGS: ReadonlySet<ActionKind> = new Set([
  ActionKind.MISSING_FILE,
  ActionKind.PGP_ERROR,
  ActionKind.UNABLE_TO_DECOMPRESS,
  ActionKind.FIX_FILE_OR_SETTINGS,
]);

/** What helps by another setting of the courier. */
const OF_THE_COURIER: ReadonlySet<ActionKind> = new Set([
  ...OF_THE_SETTINGS,
  ActionKind.INVALID_BUCKET_NAME,
  ActionKind.INVALID_CREDENTIALS,
]);

/**
 * The ways out that change the courier. Files that an ingest query has yet to read can't be opened otherwise on the way
 * (refresh-plan.ts): where that is needed, a restart with the changed courier is offered in the place of going on.
 */
export function courierOffers(situation: Situation): (Offer | undefined)[] {
  return [patchCourier(situation), archiveToFile(situation), makeEntryOptional(situation)];
}

function patchCourier(situation: Situation): Offer | undefined {
  const { action, courier, object, failure } = situation;
  if (courier === undefined) return undefined;
  const proposed = withProposedChange(courier, object?.file_tag ?? "", failure);
  if (proposed === undefined && !OF_THE_COURIER.has(action.kind)) return undefined;
  const value = patch(courier, proposed);
  const change = proposed === undefined ? "" : " as the file's bytes propose";
  if (isOfQuery(situation) || !canGoOnWith(situation, proposed ?? courier)) {
    const how = proposed === undefined ? ", by this call or before it" : "";
    return {
      id: "patch_and_restart",
      title: `Change the courier${change}${how}; give this workflow up, and run it anew: an ingest query reads the file.`,
      how: { case: "patchAndRestart", value },
    };
  }
  return {
    id: "patch_courier",
    title:
      proposed === undefined
        ? "Change the courier, then try again: by this call, or before it."
        : `Change the courier${change}, then try again.`,
    how: { case: "patchCourier", value },
  };
}

/** Whether other settings are wanted of a file that an ingest query has yet to read. */
function isOfQuery({ action, object, queryTags }: Situation): boolean {
  return OF_THE_SETTINGS.has(action.kind) && object !== undefined && queryTags.has(object.file_tag);
}

/** Whether the workflow may go on with a courier: it opens the files of ingest queries as they were to be opened. */
function canGoOnWith({ plan, queryTags }: Situation, courier: Courier): boolean {
  return [...queryTags].every((tag) => isOpenedAlike(plan.courier, courier, tag));
}

type Patch = Partial<Pick<PatchCourier, "courierId" | "etag" | "courier">> & {
  updateMask?: { paths: string[] };
};

function patch(courier: Courier, proposed: Courier | undefined): Patch {
  const { id: courierId, etag } = courier;
  if (proposed === undefined) return { courierId, etag };
  return { courierId, etag, updateMask: { paths: ["files", "loads"] }, courier: proposed };
}

function archiveToFile(situation: Situation): Offer | undefined {
  const { action, courier, object, failure } = situation;
  const isUnopened =
    action.kind === ActionKind.UNABLE_TO_DECOMPRESS && failure.code === "not_this_container";
  if (courier === undefined || object === undefined || !isUnopened) return undefined;
  const proposed = withArchiveAsFile(courier, object.file_tag, failure.coordinate?.entry ?? "");
  if (proposed === undefined || !canGoOnWith(situation, proposed)) return undefined;
  return {
    id: "archive_to_file",
    title: "Take the file for a plain file and no archive in the courier, then try again.",
    how: { case: "archiveToFile", value: patch(courier, proposed) },
  };
}

function makeEntryOptional(situation: Situation): Offer | undefined {
  const { courier, object, failure } = situation;
  if (courier === undefined || object === undefined || failure.code !== "entry_missing") {
    return undefined;
  }
  const proposed = withOptionalEntries(courier, object.file_tag, failure);
  if (proposed === undefined || !canGoOnWith(situation, proposed)) return undefined;
  return {
    id: "make_entry_optional",
    title: `Make ${failure.expected} optional in the courier, then try again.`,
    how: { case: "makeEntryOptional", value: patch(courier, proposed) },
  };
}
