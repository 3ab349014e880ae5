import { CONTROLS } from "./controls.ts";
import { CRASH_FAULTS } from "./crash-faults.ts";
import type { Fault } from "./fault.ts";
import { PROCESS_FAULTS } from "./process-faults.ts";
import { S3_FAULTS } from "./s3-faults.ts";
import { WAREHOUSE_FAULTS } from "./warehouse-faults.ts";

/** Every fault that is played, in the order of the documentation. */
export const FAULTS: readonly Fault[] = [
  ...PROCESS_FAULTS,
  ...S3_FAULTS,
  ...WAREHOUSE_FAULTS,
  ...CRASH_FAULTS,
  ...CONTROLS,
];
