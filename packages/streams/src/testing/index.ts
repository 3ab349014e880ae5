export { type CountedMemory, countedMemory } from "./counted-memory.ts";
export {
  type ReaderContract,
  type Run,
  readerContract,
  type StoppingRun,
} from "./reader-contract.ts";
export { chunked, type Probe, probe } from "./sources.ts";
export { type StageContract, stageContract } from "./stage-contract.ts";
