import { type ProposedSetting, StageError } from "@sluice/errors";
import { type ArchiveSettings, COMPRESSIONS, type Compression } from "@sluice/schema";
import type { CompressionName } from "./codecs.ts";
import { type Container, containerOf, describeBytes, isKnownPlain, mayBegin } from "./sniff.ts";

const NAMES: ReadonlySet<string> = new Set(COMPRESSIONS);
const NOT_OPENED: ReadonlySet<string> = new Set([
  "7z",
  "rar",
  "compress",
  "lz4 legacy",
] satisfies Container[]);

/** Whether these are the first bytes of a compression that can be opened. */
export const isCompression = (
  container: Container | undefined,
): container is CompressionName & Container => container !== undefined && NAMES.has(container);

/**
 * Which compression to take off, told from the first bytes and the settings; undefined for none.
 * Throws where the two disagree: the message says what was seen and proposes the setting.
 */
export function compressionOf(
  head: Uint8Array,
  compression: Compression,
  archive: ArchiveSettings["kind"] | undefined,
): CompressionName | undefined {
  // Their first bytes say nothing for sure, so that the codec itself finds out.
  if (compression === "brotli" || compression === "deflate") return compression;
  const container = containerOf(head);
  const isNamed = compression !== "auto" && compression !== "none";
  if (isNamed && (compression === container || mayBegin(compression, head))) return compression;
  if (container !== undefined && NOT_OPENED.has(container)) throw notOpened(container);
  if (compression === "auto") return isCompression(container) ? container : undefined;
  if (compression === "none" && !isCompression(container)) return undefined;
  throw disagreement(head, compression, archive);
}

function notOpened(container: Container): StageError {
  return new StageError(
    "decompress",
    "unsupported_method",
    `The bytes are ${container}, which is not opened.`,
    { seen: container, expected: `one of ${COMPRESSIONS.join(", ")}, zip, tar, or a plain file` },
  );
}

/** The error that the bytes are not what the compression setting says, with the setting that would fit. */
export function disagreement(
  head: Uint8Array,
  compression: Compression,
  archive: ArchiveSettings["kind"] | undefined,
  cause?: unknown,
): StageError {
  const seen = describeBytes(head);
  const container = containerOf(head);
  let proposed: ProposedSetting[] = [{ setting: "compression", value: "none" }];
  if (isCompression(container)) proposed = [{ setting: "compression", value: container }];
  else if ((container === "zip" || container === "tar") && container !== archive) {
    proposed.push({ setting: "archive", value: container });
  } else if (container === undefined && !isKnownPlain(head)) proposed = [];
  const settings = proposed.map(({ setting, value }) => `${setting}: ${value}`).join(", ");
  const patch = settings === "" ? "" : ` Set ${settings}.`;
  return new StageError(
    "decompress",
    "not_this_container",
    `The compression is set to ${compression}; the bytes are ${seen}.${patch}`,
    { seen, expected: compression === "none" ? "no compression" : compression, cause, proposed },
  );
}
