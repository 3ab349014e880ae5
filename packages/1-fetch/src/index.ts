export { type Backtest, type BacktestRequest, backtest, type DayHits } from "./backtest.ts";
export { assertBucket, type BucketReference } from "./bucket-name.ts";
export {
  CONNECTION_CHECKS,
  type ConnectionCheck,
  type ConnectionCheckName,
} from "./connection-test.ts";
export { type FilePattern, type FilePatternExpansion, parseFilePattern } from "./file-pattern.ts";
export type { HeadOptions, ObjectHead } from "./head.ts";
export type { ListPage, ListRequest } from "./list.ts";
export type { MatchingDays } from "./matching-days.ts";
export { fileNotFound, nothingFound } from "./missing-files.ts";
export type { NearMiss, PatternEdit } from "./near-misses.ts";
export {
  type Access,
  type Connection,
  type Limits as FetchLimits,
  type Platform,
  type S3SourceOptions,
  toLimits as fetchLimits,
} from "./options.ts";
export { type PassedOver, passedOverInWords } from "./passed-over.ts";
export type { MissingFile, Plan, PlannedObject, PlanRequest, Selection } from "./plan.ts";
export { createPlatformSessions, type PlatformSessions } from "./platform-sessions.ts";
export type { ReadOptions } from "./read.ts";
export { isExternalId, isRoleArn } from "./role-identifiers.ts";
export { createS3Source, type S3Source } from "./s3-source.ts";
export type { UploadPlace, Uploads } from "./uploads.ts";
