import { clone, equals, fromJson } from "@bufbuild/protobuf";
import { type Courier, CourierSchema } from "@sluice/api/control/v1/courier_pb";
import type { StageFailure } from "@sluice/api/control/v1/failure_pb";
import {
  type EntrySpec,
  type FileSettings,
  FileSettingsSchema,
} from "@sluice/api/control/v1/file_settings_pb";
import { feedIdOf } from "../../couriers/courier-feeds.ts";
import { copyMasked } from "../../resources/update-mask.ts";
import { type SettingsPlace, settingsPlace } from "./settings-place.ts";

/** The courier as it would be with what the failure proposes for a file; undefined when that changes nothing. */
export function withProposedChange(
  courier: Courier,
  fileTag: string,
  failure: StageFailure,
): Courier | undefined {
  const { proposedChange } = failure;
  if (proposedChange === undefined) return undefined;
  const value = fromJson(FileSettingsSchema, proposedChange.value ?? {}, {
    ignoreUnknownFields: true,
  });
  const paths = proposedChange.updateMask?.paths ?? [];
  return changed(courier, (next) => {
    const place = settingsPlace(next, fileTag, failure.coordinate?.entry ?? "");
    // Only the format of an archive's files can be said without entry specifications.
    const isTooFine =
      place?.isOfAll === true && paths.some((path) => path === "compression" || path === "archive");
    if (place === undefined || isTooFine) return;
    const { settings } = place;
    const before = clone(FileSettingsSchema, settings);
    copyMasked(FileSettingsSchema, settings, value, paths);
    // Of an archive that is turned into another kind, the entries stay.
    if (before.archive !== undefined && settings.archive !== undefined) {
      settings.archive.entries = before.archive.entries;
    }
    if (before.archive !== undefined && settings.archive === undefined) {
      moveEntriesToFile(next, place, before);
    }
  });
}

/**
 * The courier with a file of it, or the entry of one, as a plain file and no archive; undefined when it is none. An
 * archive whose files are all opened alike is no entry's own.
 */
export function withArchiveAsFile(
  courier: Courier,
  fileTag: string,
  entry: string,
): Courier | undefined {
  return changed(courier, (next) => {
    const place = settingsPlace(next, fileTag, entry);
    if (place?.settings.archive === undefined || place.isOfAll) return;
    const before = clone(FileSettingsSchema, place.settings);
    delete place.settings.archive;
    moveEntriesToFile(next, place, before);
  });
}

/**
 * The courier with the entries optional that an archive lacks, be it one in another: the failure names both. All of that
 * name are when it can't be told which archive it was.
 */
export function withOptionalEntries(
  courier: Courier,
  fileTag: string,
  { coordinate, expected }: StageFailure,
): Courier | undefined {
  return changed(courier, (next) => {
    const names = new Set(expected.split(", "));
    const file = next.files.find(({ tag }) => tag === fileTag)?.settings;
    const place = settingsPlace(next, fileTag, coordinate?.entry ?? "");
    const entries = place === undefined ? entriesOf(file) : place.settings.archive?.entries;
    for (const entry of entries ?? []) {
      if (names.has(describe(entry))) entry.optional = true;
    }
  });
}

function changed(courier: Courier, change: (next: Courier) => void): Courier | undefined {
  const next = clone(CourierSchema, courier);
  change(next);
  return equals(CourierSchema, next, courier) ? undefined : next;
}

/** What an archive's first file was opened by, the file in its place is opened by now; its loads follow. */
function moveEntriesToFile(
  courier: Courier,
  { tag: fileTag, settings }: SettingsPlace,
  before: FileSettings,
): void {
  const entries = entriesOf(before);
  const first = entries.find((entry) => entry.settings?.archive === undefined);
  if (settings.format.case === undefined && first?.settings !== undefined) {
    settings.format = clone(FileSettingsSchema, first.settings).format;
  }
  const tags = new Set(entries.map(({ tag }) => tag));
  const loads = courier.loads.map((load) => (tags.has(load.fileTag) ? { ...load, fileTag } : load));
  courier.loads = loads.filter(
    (load, index) =>
      loads.findIndex((o) => feedIdOf(o) === feedIdOf(load) && o.fileTag === load.fileTag) ===
      index,
  );
}

function entriesOf(settings: FileSettings | undefined): EntrySpec[] {
  return (settings?.archive?.entries ?? []).flatMap((entry) => [
    entry,
    ...entriesOf(entry.settings),
  ]);
}

/** As the worker names an entry that is missing. */
function describe({ selection }: EntrySpec): string {
  return selection.case === "name"
    ? `entry ${JSON.stringify(selection.value)}`
    : `entry for the pattern ${selection.value}`;
}
