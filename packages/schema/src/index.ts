export type {
  Batch,
  Block,
  Entry,
  Findings,
  ParsedEntry,
  RowFault,
  Slice,
  SourceColumn,
  TextColumn,
  WantedField,
} from "./block.ts";
export type { Feed, Field, FieldType, LoadOperation } from "./feed.ts";
export { type FieldPath, parseFieldPath } from "./field-path.ts";
export {
  type ArchiveSettings,
  type AvroSettings,
  COMPRESSIONS,
  type Compression,
  type DelimitedSettings,
  type EntrySelection,
  type EntrySettings,
  type FileSettings,
  type FormatSettings,
  type JsonSettings,
  type ParquetSettings,
  type PgpKeys,
  type TextEncoding,
  type XmlSettings,
} from "./file-settings.ts";
export type { ListedObject, ManifestObject } from "./object.ts";
