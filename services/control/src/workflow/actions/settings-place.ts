import type { Courier } from "@sluice/api/control/v1/courier_pb";
import type { EntrySpec, FileSettings } from "@sluice/api/control/v1/file_settings_pb";

/** The settings that open a file, or an entry of it at any depth. */
export interface SettingsPlace {
  /** What load operations call what is opened by them. */
  readonly tag: string;
  readonly settings: FileSettings;
  /** Whether they are an archive's, which opens all of its files alike: of these only the format can be said. */
  readonly isOfAll: boolean;
}

/**
 * Where the settings stand by which a file of the courier was opened, or the entry that a coordinate names:
 * "inner.zip/people.csv". Undefined when it can't be told which: names may hold slashes, and patterns are not
 * tried here.
 */
export function settingsPlace(
  courier: Courier,
  fileTag: string,
  entry: string,
): SettingsPlace | undefined {
  const file = courier.files.find(({ tag }) => tag === fileTag);
  if (file?.settings === undefined) return undefined;
  const place = { tag: fileTag, settings: file.settings, isOfAll: false };
  if (entry === "") return place;
  const [found, ...others] = placesInside(place, entry);
  return others.length === 0 ? found : undefined;
}

/** Every place that an entry of an archive may be opened by. Those that name it go before those that have a pattern. */
function placesInside(outer: SettingsPlace, entry: string): SettingsPlace[] {
  const { archive } = outer.settings;
  if (archive === undefined) return [];
  if (archive.entries.length === 0) return [{ ...outer, isOfAll: true }];
  const named = archive.entries.flatMap((spec) =>
    spec.selection.case === "name" ? placesOf(spec, entry, [spec.selection.value]) : [],
  );
  if (named.length > 0) return named;
  const places = archive.entries.flatMap((spec) =>
    spec.selection.case === "pattern" ? placesOf(spec, entry, [entry, ...foldersOf(entry)]) : [],
  );
  // Wherever its own name ends, it is one and the same place.
  return places.filter(
    ({ settings }, index) => places.findIndex((other) => other.settings === settings) === index,
  );
}

/** The places inside one entry specification, which may select each of these names. */
function placesOf(
  { tag, settings }: EntrySpec,
  entry: string,
  names: readonly string[],
): SettingsPlace[] {
  if (settings === undefined) return [];
  const place = { tag, settings, isOfAll: false };
  return names.flatMap((name) => {
    if (name === entry) return [place];
    return entry.startsWith(`${name}/`) ? placesInside(place, entry.slice(name.length + 1)) : [];
  });
}

/** "a/b/c" stands in what is called "a" or "a/b". */
function foldersOf(entry: string): string[] {
  const parts = entry.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}
