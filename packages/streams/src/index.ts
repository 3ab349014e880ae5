export { type ByteBudget, createByteBudget, type Leasing } from "./byte-budget.ts";
export { type ByteReader, createByteReader } from "./byte-reader.ts";
export { free, freePassed, pass } from "./free.ts";
export { type LimitError, maxBytes } from "./max-bytes.ts";
export { type Peeked, peek } from "./peek.ts";
export { pipe, type Transform } from "./pipe.ts";
export { type Spool, type SpoolOptions, spool } from "./spool.ts";
export {
  createStageClock,
  STOPPED_CLOCK,
  type StageClock,
  type StageReport,
  type StageTime,
} from "./stage-clock.ts";
export { createTaskMemory, type TaskMemory, type TaskMemoryOptions } from "./task-memory.ts";
export {
  createWorkerMemory,
  type MemorySeat,
  type MemoryShare,
  type WorkerMemory,
} from "./worker-memory.ts";
export { type MemoryPart, UNCOUNTED, type WorkingMemory } from "./working-memory.ts";
