export { chunked, type Probe, probe } from "./sources.ts";
export { type StageContract, stageContract } from "./stage-contract.ts";
