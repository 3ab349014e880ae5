import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import type { Field as FieldMessage } from "@sluice/api/control/v1/feed_pb";
import {
  Compression,
  type FileSettings as FileSettingsMessage,
} from "@sluice/api/control/v1/file_settings_pb";
import type {
  FeedVersion,
  ManifestObject as ManifestObjectMessage,
  PgpKeys,
} from "@sluice/api/ingest/v1/task_pb";
import type {
  Compression as CompressionWords,
  Feed as FeedWords,
  Field,
  FieldType,
  FileSettings,
  FormatSettings,
  LoadOperation as LoadOperationWords,
  ManifestObject,
  PgpKeys as PgpKeysWords,
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

function toField(field: FieldMessage): Field {
  return {
    incomingName: field.incomingName,
    name: field.name === "" ? field.incomingName : field.name,
    type: toFieldType(field),
    ...(field.format === "" ? {} : { format: field.format }),
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
  };
}

const COMPRESSIONS: Record<Compression, CompressionWords> = {
  [Compression.UNSPECIFIED]: "auto",
  [Compression.AUTO]: "auto",
  [Compression.NONE]: "none",
  [Compression.GZIP]: "gzip",
};

function toFormat(message: FileSettingsMessage): FormatSettings {
  switch (message.format.case) {
    case "delimited": {
      const text = message.format.value;
      const quote = text.quote ?? '"';
      return {
        kind: "delimited",
        delimiter: text.delimiter ?? ",",
        quote,
        escape: text.escape ?? quote,
        headerRows: text.headerRows ?? 1,
        skipRows: text.skipRows,
        nullText: text.nullText ?? "",
      };
    }
    case "parquet":
      return { kind: "parquet" };
    default:
      throw new Error("the file settings name no format");
  }
}

function toPgpKeys(message: PgpKeys): PgpKeysWords {
  return {
    privateKeyBlocks: message.privateKeyBlock === "" ? [] : [message.privateKeyBlock],
    ...(message.passphrase === "" ? {} : { passphrase: message.passphrase }),
  };
}

export function toFileSettings(
  message: FileSettingsMessage | undefined,
  pgpKeys: PgpKeys | undefined,
): FileSettings {
  if (message === undefined) throw new Error("the task came without file settings");
  return {
    ...(pgpKeys === undefined ? {} : { pgp: toPgpKeys(pgpKeys) }),
    compression: COMPRESSIONS[message.compression] ?? "auto",
    format: toFormat(message),
  };
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
    ordinal: Number(message.ordinal),
  };
}

export function toLoadOperation(operation: LoadOperation): LoadOperationWords {
  if (operation === LoadOperation.LOAD) return "load";
  if (operation === LoadOperation.TRUNCATE_AND_LOAD) return "truncate_and_load";
  throw new Error(`no such load operation: ${operation}`);
}
