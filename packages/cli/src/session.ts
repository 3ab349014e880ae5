import type { Transport } from "@connectrpc/connect";
import { type Command, Option } from "commander";
import { findApiKey } from "./api-key.ts";
import { findProfile } from "./config.ts";
import { connect } from "./invoke.ts";
import type { Terminal } from "./terminal.ts";

/** What a command has while it runs. */
export interface Session {
  readonly terminal: Terminal;
  readonly transport: Transport;
  readonly url: string;
  /** Whether machines read the answers: one JSON on each line. */
  readonly json: boolean;
  /** The one part of the answer's JSON that is printed, as `couriers[0].id`; all of it when not set. */
  readonly pick: string | undefined;
}

interface Options {
  readonly url?: string;
  readonly profile?: string;
  readonly keyFile?: string;
  readonly json?: boolean;
  readonly pick?: string;
}

const GROUP = "Where, and how to answer:";

/** The flags of every command that calls the service. */
export function addSessionOptions(command: Command): Command {
  return command
    .addOption(new Option("--url <url>", "the API's address").helpGroup(GROUP))
    .addOption(new Option("--profile <name>", "a profile of the profile file").helpGroup(GROUP))
    .addOption(
      new Option("--key-file <path>", "a file with the API key to call with").helpGroup(GROUP),
    )
    .addOption(new Option("--json", "answer in JSON, one message on each line").helpGroup(GROUP))
    .addOption(
      new Option("--pick <path>", "print one part of the JSON, as couriers[0].id").helpGroup(GROUP),
    );
}

export function openSession(terminal: Terminal, command: Command): Session {
  const options: Options = command.opts();
  const profile = findProfile(terminal.env, options);
  const key = findApiKey(terminal.env, options, profile);
  return {
    terminal,
    transport: connect({ url: profile.url, ...(key === undefined ? {} : { key }) }),
    url: profile.url,
    json: options.json ?? false,
    pick: options.pick,
  };
}
