import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import type { FileSpecSchema } from "@sluice/api/control/v1/courier_pb";
import {
  ArchiveSettings_Kind,
  type EntrySpecSchema,
} from "@sluice/api/control/v1/file_settings_pb";
import { patternFault } from "../pattern-fault.ts";
import { readLandAs, type SettingsInit } from "./land-as.ts";
import { booleanOf, type JsonValueAt, refuseOthers, textOf } from "./legacy-document.ts";
import type { Report } from "./report.ts";

export type FileInit = Exclude<MessageInitShape<typeof FileSpecSchema>, Message>;
type EntryInit = Exclude<MessageInitShape<typeof EntrySpecSchema>, Message>;

/** A file, or an entry of an archive: options of load operations may still change the settings, where they stand. */
export interface TaggedSettings {
  readonly at: JsonValueAt;
  readonly settings: SettingsInit;
}

/** The files of a courier, and what load operations may name. */
export interface Entities {
  readonly files: FileInit[];
  readonly byTag: Map<string, TaggedSettings>;
}

interface EntityContext {
  readonly pgpCredentialId: string;
  readonly report: Report;
  readonly byTag: Map<string, TaggedSettings>;
}

const ENTITY = [
  "object/type",
  "object/optional",
  "object/file-pattern",
  "object/land-as",
  "archive/contents",
  "archive/skip-missing-contents",
];

/** Reads an entities list. */
export function readEntities(root: JsonValueAt, pgpCredentialId: string, report: Report): Entities {
  const byTag = new Map<string, TaggedSettings>();
  const context: EntityContext = { pgpCredentialId, report, byTag };
  if (root.kind !== "array") {
    report.error(root, "wrong_type", "the entities list is not an array", "put it in [ ]");
    return { files: [], byTag };
  }
  if (root.items.length === 0) {
    report.error(root, "no_entities", "the entities list is empty", "name at least one file");
  }
  const files = root.items.flatMap((entity) => readEntity(entity, context) ?? []);
  return { files, byTag };
}

function readEntity(at: JsonValueAt, context: EntityContext): FileInit | undefined {
  const { report } = context;
  if (at.kind !== "object") {
    report.error(at, "wrong_type", "an entity is not an object", "put its members in { }");
    return undefined;
  }
  refuseOthers(at, ENTITY, report);
  const pattern = readPattern(at, report);
  const optional = booleanOf(at, "object/optional", report) ?? false;
  const type =
    textOf(at, "object/type", report) ?? (at.members.has("archive/contents") ? "archive" : "file");
  const typeAt = at.members.get("object/type") ?? at;
  if (type !== "file" && type !== "archive") {
    const message = `${JSON.stringify(type)} is no object/type`;
    report.error(typeAt, "object_type_unknown", message, 'write "file" or "archive"');
    return undefined;
  }
  if (pattern === undefined) return undefined;
  const file = type === "file" ? readFile(at, pattern, context) : readArchive(at, pattern, context);
  return file && { ...file, optional, selection: { case: "pattern", value: pattern } };
}

function readPattern(at: JsonValueAt, report: Report): string | undefined {
  const pattern = textOf(at, "object/file-pattern", report);
  if (pattern === undefined) {
    if (!at.members.has("object/file-pattern")) {
      const suggestion = "write \"object/file-pattern\": \"'folder/name-'yyyy-MM-dd'.csv'\"";
      report.error(at, "pattern_missing", "no object/file-pattern", suggestion);
    }
    return undefined;
  }
  const place = at.members.get("object/file-pattern") ?? at;
  const fault = patternFault(pattern);
  if (fault !== undefined) {
    const suggestion = `put text that stands for itself in single quotes; only yyyy, MM, dd and * stand outside`;
    report.error(place, "pattern_invalid", fault, suggestion);
    return undefined;
  }
  if (pattern.replaceAll(/'[^']*'/g, "").includes("YYYY")) {
    const message = "YYYY is read as the year, never as the year of a week";
    report.warning(place, "pattern_year", message, "write yyyy");
  }
  return pattern;
}

type Rest = Omit<FileInit, "selection" | "optional">;

function readFile(at: JsonValueAt, pattern: string, context: EntityContext): Rest | undefined {
  const { report } = context;
  for (const name of ["archive/contents", "archive/skip-missing-contents"]) {
    const member = at.members.get(name);
    if (member === undefined) continue;
    const message = `${name} means nothing for a file and is left out`;
    report.warning(member, "member_useless", message, 'write "object/type": "archive"');
  }
  const landAs = at.members.get("object/land-as");
  if (landAs === undefined) {
    const suggestion =
      'write "object/land-as": {"file/tag": "...", "file/content-type": "text/csv"}';
    report.error(at, "land_as_missing", "a file without object/land-as", suggestion);
    return undefined;
  }
  const read = readLandAs(landAs, pattern, report);
  if (read === undefined) return undefined;
  const settings: SettingsInit = { ...pgpOf(at, pattern, context), format: read.format };
  return tagged(read.tag, landAs, settings, context);
}

function readArchive(at: JsonValueAt, pattern: string, context: EntityContext): Rest | undefined {
  const { report } = context;
  const contents = at.members.get("archive/contents");
  const landAs = at.members.get("object/land-as");
  const skipMissing = booleanOf(at, "archive/skip-missing-contents", report) ?? false;
  const kind = archiveKind(at, pattern, report);
  const pgp = pgpOf(at, pattern, context);
  if (contents === undefined || contents.members.size === 0) {
    if (landAs === undefined) {
      const message = "an archive without archive/contents and without object/land-as";
      report.error(at, "land_as_missing", message, "say by one of them how its files are read");
      return undefined;
    }
    const read = readLandAs(landAs, pattern, report);
    if (read === undefined) return undefined;
    return tagged(read.tag, landAs, { ...pgp, archive: { kind }, format: read.format }, context);
  }
  if (landAs !== undefined) {
    const message = "object/land-as is left out: archive/contents says how each file is read";
    report.warning(landAs, "member_useless", message, "leave it out");
  }
  if (skipMissing) {
    const place = at.members.get("archive/skip-missing-contents") ?? at;
    const message = "every file of the archive is optional";
    report.info(place, "contents_optional", message, "");
  }
  const entries = [...contents.members].flatMap(
    ([name, content]) => readEntry(name, content, skipMissing, context) ?? [],
  );
  const tag = freeTag(pattern, context.byTag);
  return { tag, settings: { ...pgp, archive: { kind, entries } } };
}

function readEntry(
  name: string,
  at: JsonValueAt,
  optional: boolean,
  context: EntityContext,
): EntryInit | undefined {
  const { report } = context;
  refuseOthers(at, ["subobject/land-as", "subobject/optional"], report);
  const landAs = at.members.get("subobject/land-as");
  if (landAs === undefined) {
    const suggestion = 'write "subobject/land-as": {"file/tag": "...", ...}';
    report.error(at, "land_as_missing", `${name} has no subobject/land-as`, suggestion);
    return undefined;
  }
  const read = readLandAs(landAs, name, report);
  if (read === undefined) return undefined;
  const { tag, settings } = tagged(read.tag, landAs, { format: read.format }, context);
  const isQuoted = name.includes("'");
  const fault = isQuoted ? patternFault(name) : undefined;
  if (fault !== undefined) report.error(at, "pattern_invalid", fault, "close the quote");
  return {
    tag,
    ...(settings === undefined ? {} : { settings }),
    optional: optional || (booleanOf(at, "subobject/optional", report) ?? false),
    selection:
      isQuoted || name.includes("*")
        ? { case: "pattern", value: isQuoted ? name : `'${name}'` }
        : { case: "name", value: name },
  };
}

/** Keeps a file by its tag. */
function tagged(
  tag: string,
  at: JsonValueAt,
  settings: SettingsInit,
  { byTag, report }: EntityContext,
): { tag: string; settings: SettingsInit } {
  if (byTag.has(tag)) {
    const place = at.members.get("file/tag") ?? at;
    const message = `another file has the tag ${JSON.stringify(tag)}`;
    report.error(place, "tag_taken", message, "give each file a tag of its own");
  }
  byTag.set(tag, { at, settings });
  return { tag, settings };
}

function freeTag(pattern: string, byTag: ReadonlyMap<string, unknown>): string {
  const tag = pattern
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, 90);
  return byTag.has(tag) ? `${tag}_archive` : tag;
}

const ENCRYPTED = /\.(?:pgp|gpg|asc)'?$/i;

function pgpOf(
  at: JsonValueAt,
  pattern: string,
  { pgpCredentialId, report }: EntityContext,
): SettingsInit {
  if (!ENCRYPTED.test(pattern)) return {};
  if (pgpCredentialId === "") {
    const place = at.members.get("object/file-pattern") ?? at;
    const message = "the file's name says that it is encrypted, and there is no PGP credential";
    report.error(
      place,
      "pgp_credential_missing",
      message,
      "give pgp_credential_id with the request",
    );
    return {};
  }
  return { encryption: { case: "pgp", value: { credentialId: pgpCredentialId } } };
}

function archiveKind(at: JsonValueAt, pattern: string, report: Report): ArchiveSettings_Kind {
  const name = pattern.replace(/'$/, "").replace(ENCRYPTED, "").toLowerCase();
  if (/\.(?:tar|tgz|tbz2?|txz)$|\.tar\.[a-z0-9]+$/.test(name)) return ArchiveSettings_Kind.TAR;
  if (!name.endsWith(".zip")) {
    const place = at.members.get("object/file-pattern") ?? at;
    const message = "the name does not tell the kind of the archive: zip is taken";
    report.warning(
      place,
      "archive_kind_guessed",
      message,
      "check it, or end the name in .zip or .tar",
    );
  }
  return ArchiveSettings_Kind.ZIP;
}
