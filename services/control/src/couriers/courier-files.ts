import type { Courier } from "@sluice/api/control/v1/courier_pb";
import type { EntrySpec, FileSettings } from "@sluice/api/control/v1/file_settings_pb";

/** A file of a courier, or an entry of one that is an archive: what a load may name by its tag. */
export interface FilePart {
  readonly tag: string;
  /** The tag of the file that it is, or stands in. */
  readonly fileTag: string;
  readonly settings: FileSettings | undefined;
  readonly entry: EntrySpec | undefined;
  /** Where it stands in a request that has the courier in its field `courier`. */
  readonly path: string;
}

/** All files of a courier, each followed by the entries in it. */
export function partsOf(courier: Courier): FilePart[] {
  return courier.files.flatMap(({ tag, settings }, index) => {
    const path = `courier.files[${index}]`;
    const file = { tag, fileTag: tag, settings, entry: undefined, path };
    return [file, ...entriesOf(file)];
  });
}

function entriesOf(part: FilePart): FilePart[] {
  return (part.settings?.archive?.entries ?? []).flatMap((entry, index) => {
    const { tag, settings } = entry;
    const path = `${part.path}.settings.archive.entries[${index}]`;
    const inside = { tag, fileTag: part.fileTag, settings, entry, path };
    return [inside, ...entriesOf(inside)];
  });
}

/** The credentials of plugin "pgp" that open a file or anything in it, each once. */
export function pgpCredentialsOf(parts: readonly FilePart[]): string[] {
  const ids = parts.flatMap(({ settings }) =>
    settings?.encryption.case === "pgp" ? [settings.encryption.value.credentialId] : [],
  );
  return [...new Set(ids)];
}
