import { ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { DataType, load } from "ffi-rs";
import { C_LIBRARY } from "./c-library.ts";
import { LocalClickHouseError } from "./local-clickhouse-error.ts";

const LOCK_EXCLUSIVE = 2;
const LOCK_NON_BLOCKING = 4;

/**
 * Takes the directory for this process until it ends, in whatever way: the kernel drops an flock
 * with its process, so no lock is ever stale. Node itself has no flock.
 */
export function lockForThisProcess(path: string): void {
  const descriptor = openSync(path, "a+", 0o600);
  const outcome = load({
    library: C_LIBRARY,
    funcName: "flock",
    retType: DataType.I32,
    paramsType: [DataType.I32, DataType.I32],
    paramsValue: [descriptor, LOCK_EXCLUSIVE | LOCK_NON_BLOCKING],
  });
  if (outcome !== 0) {
    const holderPid = Number.parseInt(readFileSync(path, "utf8"), 10);
    throw new LocalClickHouseError(
      "data_dir_in_use",
      `A ClickHouse server already runs on this data directory, as process ${holderPid}`,
      { holderPid },
    );
  }
  ftruncateSync(descriptor);
  writeSync(descriptor, `${process.pid}\n`);
}
