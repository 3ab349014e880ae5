export { EXIT, type ExitCode } from "./exit-codes.ts";
export { METHODS, methodName } from "./methods.ts";
export { runCli } from "./run-cli.ts";
export type { Terminal } from "./terminal.ts";
