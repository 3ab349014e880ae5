export { ARCHIVE_LIMITS, type ArchiveLimits, type ArchiveOptions } from "./archive-options.ts";
export { type DecompressOptions, decompress } from "./decompress.ts";
export { DEFAULT_LIMITS as DECOMPRESS_LIMITS, type Limits as DecompressLimits } from "./limits.ts";
export { type Container, containerOf, describeBytes, SNIFF_BYTES } from "./sniff.ts";
export { unarchiveTar } from "./tar/unarchive-tar.ts";
export { openZip } from "./zip/open-zip.ts";
export type { ZipFile } from "./zip/zip-file.ts";
