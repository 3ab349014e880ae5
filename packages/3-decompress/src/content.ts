import { StageError } from "@sluice/errors";
import type { ArchiveSettings } from "@sluice/schema";
import type { CompressionName } from "./codecs.ts";
import { isCompression } from "./compression.ts";
import { containerOf, describeBytes, isKnownPlain } from "./sniff.ts";

/**
 * Throws unless the content is what the settings expect: the archive they name, or none. `opened` is the
 * compression that was taken off it.
 */
export function assertContent(
  head: Uint8Array,
  archive: ArchiveSettings["kind"] | undefined,
  opened?: CompressionName,
): void {
  const container = containerOf(head);
  const subject =
    opened === undefined ? "the bytes are" : `the content of the ${opened} container is`;
  const seen = describeBytes(head);
  if (opened !== undefined && (isCompression(container) || container === "compress")) {
    throw new StageError(
      "decompress",
      "unsupported_method",
      `Only one layer of compression is opened; ${subject} ${seen} again.`,
      { seen: `${container} inside ${opened}`, expected: "a plain file or an archive" },
    );
  }
  const isArchive = container === "zip" || container === "tar";
  if (archive === undefined) {
    if (!isArchive) return;
    throw new StageError(
      "decompress",
      "not_this_container",
      `The settings name no archive; ${subject} ${seen}. Set archive: ${container}.`,
      {
        seen,
        expected: "a plain file",
        proposed: [{ setting: "archive", value: container }],
      },
    );
  }
  if (container === archive) return;
  // An archive without entries is nothing but zeros; its reader says so.
  if (archive === "tar" && head.byteLength > 0 && head.every((byte) => byte === 0)) return;
  const value = isArchive ? container : "none";
  const patch = isArchive ? `Set archive: ${container}.` : "Remove the archive setting.";
  // Bytes that nobody knows may be a broken archive as well: nothing is proposed for them.
  const isKnown = isArchive || isKnownPlain(head);
  throw new StageError(
    "decompress",
    "not_this_container",
    `The archive is set to ${archive}; ${subject} ${seen}. ${patch}`,
    {
      seen,
      expected: archive,
      ...(isKnown ? { proposed: [{ setting: "archive", value }] } : {}),
    },
  );
}
