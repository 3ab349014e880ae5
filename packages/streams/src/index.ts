export { type ByteBudget, createByteBudget } from "./byte-budget.ts";
export { type ByteReader, createByteReader } from "./byte-reader.ts";
export { type LimitError, maxBytes } from "./max-bytes.ts";
export { type Peeked, peek } from "./peek.ts";
export { pipe, type Transform } from "./pipe.ts";
export { type Spool, type SpoolOptions, spool } from "./spool.ts";
