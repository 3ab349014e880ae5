import { closeSync, constants, openSync, rmSync } from "node:fs";
import { DataType, load } from "ffi-rs";
import { C_LIBRARY } from "./c-library.ts";

const PULSE_INTERVAL_MS = 50;

/**
 * Makes this process's standard input a pipe that has no byte in it and ends when the function
 * returned here is called, or with the process. `name` is where the pipe stands on disk.
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
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    closeSync(writing);
    // A reader that opens the pipe only now waits for a writer to come, and then sees it leave.
    setInterval(() => {
      closeSync(openSync(name, constants.O_WRONLY | constants.O_NONBLOCK));
    }, PULSE_INTERVAL_MS);
  };
}
