export type {
  Batch,
  Block,
  Entry,
  ParsedEntry,
  RowFault,
  Slice,
  SourceColumn,
  TextColumn,
} from "./block.ts";
export type { Feed, Field, FieldType, LoadOperation } from "./feed.ts";
export type {
  Compression,
  DelimitedSettings,
  FileSettings,
  FormatSettings,
  ParquetSettings,
  PgpKeys,
} from "./file-settings.ts";
export type { ListedObject, ManifestObject } from "./object.ts";
