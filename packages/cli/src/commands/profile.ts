import type { Command } from "commander";
import { readKey } from "../api-key.ts";
import { assertUrl, profileFile, readProfiles, writeProfiles } from "../config.ts";
import { toTable } from "../print/table.ts";
import type { Terminal } from "../terminal.ts";
import { usageError } from "../usage.ts";
import { type Example, renderExamples } from "./examples.ts";

const SET: Example = ["sluice profile set staging https://sluice.staging.example", ""];
const USE: Example = ["sluice profile use staging", "for commands without --profile and --url"];

/** `sluice profile`: the installations that commands can talk to. */
export function addProfile(program: Command, terminal: Terminal): void {
  const { env } = terminal;
  const profile = program
    .command("profile")
    .helpGroup("Setting up:")
    .description(`Installations to talk to, kept in ${profileFile(env)}`)
    .addHelpText("after", renderExamples([SET, USE]));
  profile
    .command("set")
    .description(
      "Keep an address, and its API key, under a name; the first becomes the current one",
    )
    .argument("<name>", "of the profile")
    .argument("<url>", "the API's address")
    .option("--key-file <path>", "a file with its API key, which the profile keeps")
    .addHelpText("after", renderExamples([SET]))
    .action((name: string, url: string, { keyFile }: { readonly keyFile?: string }) => {
      const { current = name, profiles } = readProfiles(env);
      const key = keyFile === undefined ? undefined : readKey(keyFile);
      if (keyFile !== undefined && key === undefined) {
        throw usageError(`${keyFile}: there is no such file`);
      }
      const made = { url: assertUrl(url), ...(key === undefined ? {} : { key }) };
      writeProfiles(env, { current, profiles: { ...profiles, [name]: made } });
    });
  profile
    .command("use")
    .description("Make a profile the current one")
    .argument("<name>", "of the profile")
    .addHelpText("after", renderExamples([USE]))
    .action((name: string) => {
      const { profiles } = readProfiles(env);
      if (profiles[name] === undefined) throw usageError(`there is no profile ${name}`);
      writeProfiles(env, { current: name, profiles });
    });
  profile
    .command("list")
    .description("Show the profiles; * marks the current one")
    .addHelpText("after", renderExamples([["sluice profile list", ""]]))
    .action(() => {
      const { current, profiles } = readProfiles(env);
      const rows = Object.entries(profiles).map(([name, { url }]) => [
        name === current ? "*" : "",
        name,
        url,
      ]);
      terminal.out(rows.length === 0 ? "none\n" : toTable(["", "name", "url"], rows));
    });
}
