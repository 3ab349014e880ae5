import type { Compression, FormatSettings } from "@sluice/schema";
import type { SeekableFile } from "./pipeline.ts";

/** A format that is read from its first byte on. */
export type StreamedFormat = Exclude<FormatSettings, { kind: "parquet" }>;

/** Where the files of an object go once all their layers are off, one after the other. */
export interface EntrySink {
  /** Text or Avro; `tag` is what the courier calls the file. */
  loadStream(
    name: string,
    format: StreamedFormat,
    bytes: AsyncIterable<Uint8Array>,
    tag: string,
  ): Promise<void>;
  /** Parquet; `where` says how it is read. */
  loadParquet(name: string, file: SeekableFile, where: string, tag: string): Promise<void>;
  addRoute(route: string): void;
  addWarnings(warnings: readonly string[]): void;
  /** For those who want to see the layers themselves; a load has no need of it. */
  readonly watch?: LayerWatch;
}

/** Is told of each layer that comes off. Files are named as entries are: the object by the empty text. */
export interface LayerWatch {
  decrypts(file: string): void;
  /** Gives the same bytes; looks at them as they pass. */
  decompresses(
    file: string,
    compression: Compression,
    bytes: AsyncIterable<Uint8Array>,
  ): AsyncIterable<Uint8Array>;
  unarchives(file: string, kind: "zip" | "tar"): void;
  /** Is told of each entry; says whether one that the settings select, or not, is opened. */
  wants(archive: string, entry: string, isSelected: boolean): boolean;
  /** Whether an error over plaintext waits for the judgement of its whole message. */
  isJudged(error: unknown): boolean;
}
