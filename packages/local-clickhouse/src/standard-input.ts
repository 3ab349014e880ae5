import { closeSync, constants, openSync, rmSync } from "node:fs";
import { DataType, load } from "ffi-rs";
import { C_LIBRARY } from "./c-library.ts";

/**
 * Makes this process's standard input a pipe that has no byte in it and ends when the function
 * returned here is called, or with the process. `name` is where it stands on disk for a moment.
 */
export function standardInputUntil(name: string): () => void {
  rmSync(name, { force: true });
  const made = load({
    library: C_LIBRARY,
    funcName: "mkfifo",
    retType: DataType.I32,
    paramsType: [DataType.String, DataType.I32],
    paramsValue: [name, 0o600],
  });
  if (made !== 0) throw new Error(`mkfifo failed for ${name}`);
  // Opening one end alone would block until the other is there.
  const both = openSync(name, constants.O_RDWR);
  // The lowest free descriptor is taken, which closing it makes 0.
  closeSync(0);
  openSync(name, constants.O_RDONLY);
  const writing = openSync(name, constants.O_WRONLY);
  closeSync(both);
  rmSync(name);
  let closed = false;
  return () => {
    if (!closed) closeSync(writing);
    closed = true;
  };
}
