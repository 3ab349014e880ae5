export { type BatchOptions, type BatchTrigger, batch } from "./batch.ts";
