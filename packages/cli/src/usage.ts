import { CommanderError } from "commander";
import { EXIT } from "./exit-codes.ts";

/** The command line is wrong; the message says where, and what would be right. */
export function usageError(message: string): CommanderError {
  return new CommanderError(EXIT.usage, "sluice.usage", message);
}
