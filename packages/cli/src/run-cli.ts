import { Code, ConnectError } from "@connectrpc/connect";
import { CommanderError } from "commander";
import { findProfile } from "./config.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { errorJson, renderError } from "./print/failure.ts";
import { createProgram } from "./program.ts";
import type { Terminal } from "./terminal.ts";

/** Runs one command line, without the program's name, and gives the exit code. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    await createProgram(terminal).parseAsync([...args], { from: "user" });
    return EXIT.ok;
  } catch (error) {
    return tell(error, args, terminal);
  }
}

function tell(error: unknown, args: readonly string[], terminal: Terminal): ExitCode {
  if (terminal.signal.aborted) {
    terminal.err("interrupted\n");
    return EXIT.interrupted;
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    if (error.code.startsWith("commander.")) return EXIT.usage; // commander has told it
    terminal.err(`${error.message}\n`);
    return error.code === "sluice.workflowFailed" ? EXIT.workflowFailed : EXIT.usage;
  }
  if (error instanceof ConnectError) {
    terminal.err(
      args.includes("--json")
        ? `${errorJson(error)}\n`
        : renderError(error, addressOf(args, terminal)),
    );
    if (error.code === Code.Unavailable) return EXIT.unreachable;
    return error.code === Code.InvalidArgument ? EXIT.usage : EXIT.failed;
  }
  terminal.err(`${error instanceof Error ? error.message : String(error)}\n`);
  return EXIT.failed;
}

/** Where the command called, for the error that says that nobody answers. */
function addressOf(args: readonly string[], terminal: Terminal): string {
  const given = (flag: string): string | undefined => {
    const at = args.findIndex((arg) => arg === flag || arg.startsWith(`${flag}=`));
    return at < 0 ? undefined : (args[at]?.split("=")[1] ?? args[at + 1]);
  };
  return findProfile(terminal.env, { url: given("--url"), profile: given("--profile") }).url;
}
