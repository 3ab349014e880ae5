export type { Bzip2Faults } from "./faults.ts";
export { type Bzip2Reader, createBzip2Reader } from "./reader.ts";
