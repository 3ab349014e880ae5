import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { DataDir } from "./data-dir.ts";

const TAIL_BYTES = 4_096;

/** The end of what the server wrote to its log and its output; empty where it wrote nothing. */
export function logTail(dir: DataDir): string {
  return [dir.log, dir.output].map(endOf).filter(Boolean).join("\n").trim();
}

function endOf(path: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
  try {
    const size = fstatSync(descriptor).size;
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const read = readSync(descriptor, tail, 0, tail.length, size - tail.length);
    return tail.toString("utf8", 0, read);
  } finally {
    closeSync(descriptor);
  }
}
