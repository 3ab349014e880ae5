import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { type Field as FieldMessage, Lineage, NonFinite } from "@sluice/api/control/v1/feed_pb";
import {
  type ArchiveSettings as ArchiveMessage,
  ArchiveSettings_Kind,
  Compression,
  DelimitedSettings_Encoding,
  type EntrySpec,
  type FileSettings as FileSettingsMessage,
  JsonSettings_Shape,
} from "@sluice/api/control/v1/file_settings_pb";
import type {
  FeedVersion,
  ManifestObject as ManifestObjectMessage,
  PgpKeys,
} from "@sluice/api/ingest/v1/task_pb";
import type {
  ArchiveSettings,
  Compression as CompressionWords,
  EntrySelection,
  EntrySettings,
  Feed as FeedWords,
  Field,
  FieldType,
  FileSettings,
  FormatSettings,
  JsonSettings,
  LoadOperation as LoadOperationWords,
  ManifestObject,
  PgpKeys as PgpKeysWords,
  TextEncoding,
} from "@sluice/schema";

/** Translates control's messages into the plain words that the stages speak. */

function toFieldType(field: FieldMessage): FieldType {
  const type = field.type?.type;
  switch (type?.case) {
    case "decimal":
      return { kind: "decimal", precision: type.value.precision, scale: type.value.scale };
    case "boolean":
    case "date":
    case "datetime":
    case "float":
    case "integer":
    case "string":
      return { kind: type.case };
    default:
      throw new Error(`the field ${field.incomingName} has no type`);
  }
}

const NON_FINITE: Record<NonFinite, NonNullable<Field["nonFinite"]>> = {
  [NonFinite.UNSPECIFIED]: "reject",
  [NonFinite.REJECT]: "reject",
  [NonFinite.NULL]: "null",
  [NonFinite.KEEP]: "keep",
};

const LINEAGES: Record<Lineage, Field["lineage"]> = {
  [Lineage.UNSPECIFIED]: undefined,
  [Lineage.FILE]: "file",
  [Lineage.ENTRY]: "entry",
  [Lineage.ROW]: "row",
};

function toField(field: FieldMessage): Field {
  const lineage = LINEAGES[field.lineage];
  return {
    incomingName: field.incomingName,
    name: field.name === "" ? field.incomingName : field.name,
    type: toFieldType(field),
    ...(field.path === "" ? {} : { path: field.path }),
    ...(field.format === "" ? {} : { format: field.format }),
    ...(field.timeZone === "" ? {} : { timeZone: field.timeZone }),
    ...(field.trueWords.length === 0 ? {} : { trueWords: field.trueWords }),
    ...(field.falseWords.length === 0 ? {} : { falseWords: field.falseWords }),
    ...(field.thousandsSeparator === "" ? {} : { thousandsSeparator: field.thousandsSeparator }),
    ...(field.decimalSeparator === "" ? {} : { decimalSeparator: field.decimalSeparator }),
    trim: field.trim,
    emptyIsNull: field.emptyIsNull,
    ...(lineage === undefined ? {} : { lineage }),
    nonFinite: NON_FINITE[field.nonFinite] ?? "reject",
    semanticTags: field.semanticTags,
    include: field.include ?? true,
    require: field.require,
  };
}

export function toFeed(message: FeedVersion): FeedWords {
  const spec = message.spec;
  if (spec === undefined) throw new Error(`feed ${message.feedId} came without its specification`);
  return {
    id: message.feedId,
    source: message.source,
    name: message.name,
    version: message.version,
    fields: spec.fields.map(toField),
    primaryKey: spec.primaryKey,
    ...(spec.lastUpdated.case === "lastUpdatedField"
      ? { lastUpdatedField: spec.lastUpdated.value }
      : {}),
    errorThresholdPercent: spec.errorThresholdPercent ?? 1,
    makeAvailableToStitch: spec.makeAvailableToStitch,
  };
}

/** The words of compressions. */
export const COMPRESSION_WORDS: Record<Compression, CompressionWords> = {
  [Compression.UNSPECIFIED]: "auto",
  [Compression.AUTO]: "auto",
  [Compression.NONE]: "none",
  [Compression.GZIP]: "gzip",
  [Compression.ZSTD]: "zstd",
  [Compression.BZIP2]: "bzip2",
  [Compression.XZ]: "xz",
  [Compression.LZ4]: "lz4",
  [Compression.SNAPPY]: "snappy",
  [Compression.BROTLI]: "brotli",
  [Compression.DEFLATE]: "deflate",
};

const ENCODINGS: Record<DelimitedSettings_Encoding, TextEncoding> = {
  [DelimitedSettings_Encoding.UNSPECIFIED]: "utf-8",
  [DelimitedSettings_Encoding.UTF_8]: "utf-8",
  [DelimitedSettings_Encoding.UTF_16LE]: "utf-16le",
  [DelimitedSettings_Encoding.UTF_16BE]: "utf-16be",
  [DelimitedSettings_Encoding.LATIN_1]: "latin-1",
  [DelimitedSettings_Encoding.WINDOWS_1252]: "windows-1252",
};

const SHAPES: Record<JsonSettings_Shape, JsonSettings["shape"]> = {
  [JsonSettings_Shape.UNSPECIFIED]: "records",
  [JsonSettings_Shape.RECORDS]: "records",
  [JsonSettings_Shape.LINES]: "lines",
  [JsonSettings_Shape.CONCATENATED]: "concatenated",
};

function toFormat({ format }: FileSettingsMessage): FormatSettings {
  switch (format.case) {
    case "delimited": {
      const text = format.value;
      const quote = text.quote ?? '"';
      return {
        kind: "delimited",
        delimiter: text.delimiter ?? ",",
        quote,
        escape: text.escape ?? quote,
        headerRows: text.headerRows ?? 1,
        skipRows: text.skipRows,
        nullText: text.nullText ?? "",
        encoding: ENCODINGS[text.encoding] ?? "utf-8",
        ...(text.recordDelimiter === undefined ? {} : { recordDelimiter: text.recordDelimiter }),
        ...(text.comment === undefined ? {} : { comment: text.comment }),
      };
    }
    case "json": {
      const { shape, recordPath, explodePath } = format.value;
      return { kind: "json", shape: SHAPES[shape] ?? "records", recordPath, explodePath };
    }
    case "xml": {
      const { rowElement, explodePath } = format.value;
      return { kind: "xml", rowElement: rowElement === "" ? "row" : rowElement, explodePath };
    }
    case "avro":
    case "parquet":
      return { kind: format.case };
    default:
      throw new Error("the file settings name no format");
  }
}

export function toPgpKeys(message: PgpKeys): PgpKeysWords {
  const { privateKeyBlock, passphrase, signerPublicKeys } = message;
  return {
    privateKeyBlocks: privateKeyBlock === "" ? [] : [privateKeyBlock],
    ...(passphrase === "" ? {} : { passphrase }),
    ...(signerPublicKeys.length === 0 ? {} : { signerPublicKeys }),
  };
}

/** What a load needs beside the file settings to open a file. */
export interface OpeningWords {
  /** Secrets by the credential's id. */
  readonly pgpKeys: Readonly<Record<string, PgpKeys>>;
  /** Tags of the archive's entries that are loaded; undefined for all of them. */
  readonly entryTags: ReadonlySet<string> | undefined;
}

export function toFileSettings(
  message: FileSettingsMessage | undefined,
  opening: OpeningWords,
): FileSettings {
  if (message === undefined) throw new Error("the task came without file settings");
  const { encryption, compression, archive } = message;
  const keys =
    encryption.case === "pgp" ? opening.pgpKeys[encryption.value.credentialId] : undefined;
  if (encryption.case === "pgp" && keys === undefined) {
    throw new Error("the task came without the keys of its PGP credential");
  }
  return {
    ...(keys === undefined ? {} : { pgp: toPgpKeys(keys) }),
    compression: COMPRESSION_WORDS[compression] ?? "auto",
    content:
      archive === undefined ? toFormat(message) : toArchiveSettings(message, archive, opening),
  };
}

function toArchiveSettings(
  message: FileSettingsMessage,
  archive: ArchiveMessage,
  opening: OpeningWords,
): ArchiveSettings {
  const kind = archive.kind === ArchiveSettings_Kind.TAR ? "tar" : "zip";
  if (archive.entries.length > 0) {
    return { kind, entries: archive.entries.map((entry) => toEntrySettings(entry, opening)) };
  }
  const settings: FileSettings = { compression: "auto", content: toFormat(message) };
  const every: EntrySettings = {
    tag: "",
    selection: { kind: "every" },
    isOptional: false,
    isLoaded: true,
    settings,
  };
  return { kind, entries: [every] };
}

function toEntrySettings(entry: EntrySpec, { pgpKeys, entryTags }: OpeningWords): EntrySettings {
  const { tag, selection, optional: isOptional } = entry;
  const isWhole = entryTags === undefined || entryTags.has(tag);
  const inside = { pgpKeys, entryTags: isWhole ? undefined : entryTags };
  const settings = toFileSettings(entry.settings, inside);
  const isLoaded = isWhole || ("entries" in settings.content && isAnyLoaded(settings.content));
  return { tag, selection: toEntrySelection(selection), isOptional, isLoaded, settings };
}

function isAnyLoaded({ entries }: ArchiveSettings): boolean {
  return entries.some(({ isLoaded }) => isLoaded);
}

function toEntrySelection(selection: EntrySpec["selection"]): EntrySelection {
  switch (selection.case) {
    case "name":
      return { kind: "name", name: selection.value };
    case "pattern":
      return { kind: "pattern", pattern: selection.value };
    default:
      throw new Error("an entry names neither name nor pattern");
  }
}

export function toManifestObject(message: ManifestObjectMessage | undefined): ManifestObject {
  if (message === undefined) throw new Error("the task came without an object");
  return {
    bucket: message.bucket,
    key: message.key,
    etag: message.etag,
    ...(message.versionId === "" ? {} : { versionId: message.versionId }),
    size: Number(message.size),
    ...(message.date === "" ? {} : { date: message.date }),
    ...(message.fileTag === "" ? {} : { tag: message.fileTag }),
    ordinal: Number(message.ordinal),
    ...(message.generation === 0 ? {} : { generation: message.generation }),
  };
}

export function toLoadOperation(operation: LoadOperation): LoadOperationWords {
  if (operation === LoadOperation.LOAD) return "load";
  if (operation === LoadOperation.TRUNCATE_AND_LOAD) return "truncate_and_load";
  throw new Error(`no such load operation: ${operation}`);
}
