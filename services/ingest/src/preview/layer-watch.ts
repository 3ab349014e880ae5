import { containerOf, SNIFF_BYTES } from "@sluice/decompress";
import { StageError } from "@sluice/errors";
import type { Compression } from "@sluice/schema";
import type { LayerWatch } from "../entry-sink.ts";
import { ENOUGH } from "./enough.ts";

/** A layer around the data, as it was met. */
export interface SeenLayer {
  readonly kind: string;
  /** The file that it is around; empty for the object. */
  readonly file: string;
  /** Of an archive: the names of its files, as far as they were met. */
  readonly entries: readonly string[];
}

export interface SeenLayers extends LayerWatch {
  readonly layers: readonly SeenLayer[];
}

/** Names of entries that are told. */
const MAX_ENTRIES = 10_000;

/**
 * Notes the layers of one object. Of an archive only `entry` is opened, or, when that is empty, what the settings
 * select. `isJudged` says whether a failure over plaintext may wait for the rest of its message.
 */
export function createLayerWatch(options: {
  readonly entry: string;
  readonly isJudged: boolean;
}): SeenLayers {
  const layers: { kind: string; file: string; entries: string[] }[] = [];
  const add = (kind: string, file: string): void => void layers.push({ kind, file, entries: [] });
  const { entry: wanted, isJudged } = options;
  return {
    layers,
    decrypts: (file) => add("pgp", file),
    decompresses: (file, compression, bytes) =>
      noticed(bytes, (head) => {
        const kind = compressionOf(head, compression);
        if (kind !== undefined) add(kind, file);
      }),
    unarchives: (file, kind) => add(kind, file),
    wants(archive, entry, isSelected) {
      const layer = layers.findLast(({ file, kind }) => file === archive && isArchive(kind));
      if (layer !== undefined && layer.entries.length < MAX_ENTRIES) layer.entries.push(entry);
      if (wanted === "") return isSelected;
      // An archive on the way to the entry is opened as well.
      return isSelected && (entry === wanted || wanted.startsWith(`${entry}/`));
    },
    isJudged: (error) => isJudged && error !== ENOUGH && !isLimit(error),
  };
}

/** A limit says nothing of what a message holds, and is there to spare its reading. */
const isLimit = (error: unknown): boolean =>
  error instanceof StageError && error.code === "limit_exceeded";

const isArchive = (kind: string): boolean => kind === "zip" || kind === "tar";

/** Throws `decompress.entry_missing`: what was asked for by name was not shown. */
export function throwNotShown(entry: string, layers: readonly SeenLayer[]): never {
  const names = layers.flatMap(({ entries }) => entries);
  const message = names.includes(entry)
    ? "The settings select no entry of this name."
    : names.length === 0
      ? "The file is no archive, and has no entry of this name."
      : "The file has no entry of this name.";
  throw new StageError("decompress", "entry_missing", message, { entry, expected: entry });
}

function compressionOf(head: Uint8Array, compression: Compression): string | undefined {
  if (compression === "none") return undefined;
  if (compression !== "auto") return compression;
  const container = containerOf(head);
  return container === undefined || isArchive(container) ? undefined : container;
}

/** The same bytes; their first ones are looked at as they pass. */
async function* noticed(
  bytes: AsyncIterable<Uint8Array>,
  look: (head: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array(0);
  for await (const chunk of bytes) {
    if (head !== undefined) {
      head = Buffer.concat([head, chunk.subarray(0, SNIFF_BYTES)]);
      if (head.byteLength >= SNIFF_BYTES) {
        look(head);
        head = undefined;
      }
    }
    yield chunk;
  }
  if (head !== undefined) look(head);
}
