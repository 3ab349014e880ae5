export { type DecompressOptions, decompress } from "./decompress.ts";
export { type Container, containerOf, describeBytes } from "./sniff.ts";
