export { createLocalAws } from "./create-local-aws.ts";
export type { Fault, FaultEffect } from "./faults.ts";
export type {
  AccessKey,
  CreateUserInput,
  LocalAws,
  LocalAwsOptions,
  PutRoleInput,
} from "./local-aws.ts";
export type { PolicyDocument, PolicyStatement } from "./policy.ts";
export type { S3ErrorCode } from "./s3-error.ts";
export { type LocalAwsProcess, startLocalAws } from "./start-local-aws.ts";
export type { ObjectStatistics } from "./statistics.ts";
