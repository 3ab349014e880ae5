import { clone, equals, fromJson } from "@bufbuild/protobuf";
import { type Courier, CourierSchema } from "@sluice/api/control/v1/courier_pb";
import type { StageFailure } from "@sluice/api/control/v1/failure_pb";
import {
  type EntrySpec,
  type FileSettings,
  FileSettingsSchema,
} from "@sluice/api/control/v1/file_settings_pb";
import { copyMasked } from "../../resources/update-mask.ts";

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
    const entry = failure.coordinate?.entry ?? "";
    const settings = settingsOf(next, fileTag, entry);
    // Only the format of an archive's files can be said without entry specifications.
    const isTooFine =
      entry !== "" &&
      settings?.archive?.entries.length === 0 &&
      paths.some((path) => path === "compression" || path === "archive");
    if (settings === undefined || isTooFine) return;
    const before = clone(FileSettingsSchema, settings);
    copyMasked(FileSettingsSchema, settings, value, paths);
    // Of an archive that is turned into another kind, the entries stay.
    if (before.archive !== undefined && settings.archive !== undefined) {
      settings.archive.entries = before.archive.entries;
    }
    if (before.archive !== undefined && settings.archive === undefined) {
      moveEntryToFile(next, fileTag, settings, before);
    }
  });
}

/** The courier with an archive of it as a plain file; undefined when it is no archive. */
export function withArchiveAsFile(courier: Courier, fileTag: string): Courier | undefined {
  return changed(courier, (next) => {
    const settings = settingsOf(next, fileTag, "");
    if (settings?.archive === undefined) return;
    const before = clone(FileSettingsSchema, settings);
    delete settings.archive;
    moveEntryToFile(next, fileTag, settings, before);
  });
}

/** The courier with the entries optional that an archive lacks; `expected` names them as the failure does. */
export function withOptionalEntries(
  courier: Courier,
  fileTag: string,
  expected: string,
): Courier | undefined {
  return changed(courier, (next) => {
    const names = new Set(expected.split(", "));
    for (const entry of entriesOf(settingsOf(next, fileTag, ""))) {
      if (names.has(describe(entry))) entry.optional = true;
    }
  });
}

function changed(courier: Courier, change: (next: Courier) => void): Courier | undefined {
  const next = clone(CourierSchema, courier);
  change(next);
  return equals(CourierSchema, next, courier) ? undefined : next;
}

/** What an archive's only entry was opened by, the file is opened by now; its loads follow. */
function moveEntryToFile(
  courier: Courier,
  fileTag: string,
  settings: FileSettings,
  before: FileSettings,
): void {
  const entries = before.archive?.entries ?? [];
  const [first] = entries;
  if (settings.format.case === undefined && first?.settings !== undefined) {
    settings.format = clone(FileSettingsSchema, first.settings).format;
  }
  const tags = new Set(entries.map(({ tag }) => tag));
  const loads = courier.loads.map((load) => (tags.has(load.fileTag) ? { ...load, fileTag } : load));
  courier.loads = loads.filter(
    (load, index) =>
      loads.findIndex((o) => o.feedId === load.feedId && o.fileTag === load.fileTag) === index,
  );
}

/** The settings that open a file, or an entry of it; undefined when it can't be told which. */
function settingsOf(courier: Courier, fileTag: string, entry: string): FileSettings | undefined {
  const settings = courier.files.find(({ tag }) => tag === fileTag)?.settings;
  if (settings === undefined || entry === "") return settings;
  const entries = settings.archive?.entries ?? [];
  const named = entries.find(
    ({ selection }) => selection.case === "name" && selection.value === entry,
  );
  const patterns = entries.filter(({ selection }) => selection.case === "pattern");
  const found = named ?? (patterns.length === 1 ? patterns[0] : undefined);
  // An archive without entry specifications opens all of its files by one set of settings.
  return entries.length === 0 ? settings : found?.settings;
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
