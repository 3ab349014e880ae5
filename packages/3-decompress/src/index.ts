export { type DecompressOptions, decompress } from "./decompress.ts";
export type { Limits as DecompressLimits } from "./limits.ts";
export { type Container, containerOf, describeBytes, SNIFF_BYTES } from "./sniff.ts";
