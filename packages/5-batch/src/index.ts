export {
  BATCH_LIMITS,
  type BatchLimits,
  type BatchOptions,
  type BatchTrigger,
  batch,
} from "./batch.ts";
