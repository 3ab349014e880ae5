#!/usr/bin/env node
import { buffer } from "node:stream/consumers";
import { runCli } from "./run-cli.ts";

const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort(new Error("interrupted")));
// `sluice ... | head` ends the pipe before we do.
process.stdout.on("error", (error: Error) => {
  if ("code" in error && error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  isInteractive: process.stderr.isTTY ?? false,
  columns: process.stdout.columns,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  readInput: async () => await buffer(process.stdin),
  signal: interrupted.signal,
});
