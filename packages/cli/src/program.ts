import { SERVICES } from "@sluice/api/control/v1/catalog";
import { Command } from "commander";
import { addApiCommand } from "./commands/api-command.ts";
import { addCall } from "./commands/call.ts";
import { addCompletion } from "./commands/completion.ts";
import { type Example, renderExamples, wordsTo } from "./commands/examples.ts";
import { addProfile } from "./commands/profile.ts";
import { SHORTCUTS } from "./commands/shortcuts.ts";
import { addUpload } from "./commands/upload.ts";
import { EXIT } from "./exit-codes.ts";
import { commentOf, findMethod, METHODS, nounOf } from "./methods.ts";
import type { Terminal } from "./terminal.ts";

/** Every command of `sluice`. */
export function createProgram(terminal: Terminal): Command {
  const program = new Command("sluice")
    .description("The open loader from S3 into ClickHouse, from the command line")
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .configureHelp({ showGlobalOptions: false, helpWidth: terminal.columns ?? 100 })
    .addHelpText("after", HELP);
  addProfile(program, terminal);
  addCompletion(program, terminal);
  for (const { noun, method: name, ...shape } of SHORTCUTS) {
    const method = findMethod(name);
    if (method !== undefined && noun === undefined) addApiCommand(program, terminal, method, shape);
  }
  addUpload(program, terminal);
  const services = SERVICES.toSorted((a, b) => placeOf(nounOf(a)) - placeOf(nounOf(b)));
  for (const service of services) addService(program, terminal, nounOf(service), service.typeName);
  addCall(program, terminal);
  return program;
}

/** The nouns in the order of the work; others come after them. */
const NOUNS = ["credential", "source", "feed", "courier", "group", "workflow", "table"];
function placeOf(noun: string): number {
  const place = NOUNS.indexOf(noun);
  return place < 0 ? NOUNS.length : place;
}

/** A noun with a verb for each method of its service. */
function addService(program: Command, terminal: Terminal, noun: string, typeName: string): void {
  const parent = program
    .command(noun)
    .helpGroup("All that the API can do:")
    .description(commentOf(typeName));
  for (const shortcut of SHORTCUTS) {
    const method = findMethod(shortcut.method);
    if (shortcut.noun === noun && method !== undefined) {
      addApiCommand(parent, terminal, method, shortcut);
    }
  }
  for (const method of METHODS) {
    const isMade = parent.commands.some((command) => command.name() === method.verb);
    if (method.noun === noun && !isMade)
      addApiCommand(parent, terminal, method, { name: method.verb });
  }
  parent.addHelpText("after", () =>
    renderExamples(
      parent.commands
        .slice(0, 1)
        .map((command): Example => [`${wordsTo(command)} --help`, "what it takes, with examples"]),
    ),
  );
}

const EXAMPLES: readonly Example[] = [
  ["sluice browse Acme customers/", "the folders and files that a credential opens"],
  ["sluice run Customers --date 2026-11-20", "loads a day, and shows how far it is"],
  ["sluice feed create --help", "what a command takes, with examples"],
];

const HELP = `${renderExamples(EXAMPLES)}
Names stand for ids: a credential, courier or group by its name, a feed as source.name.

The address comes from --url, else SLUICE_URL, else the profile of --profile or SLUICE_PROFILE,
else the current profile, else http://127.0.0.1:8080. Commands that follow a run wait for an API that
goes away: SLUICE_RECONNECT_SECONDS, 120 when not set.

The API key comes from --key-file, else SLUICE_API_KEY, else the profile; on this machine also from what npm start
keeps: admin.key in SLUICE_DATA_DIR, or in .sluice of the current folder. It is never printed.

Exit codes: ${Object.entries(EXIT)
  .map(
    ([name, code]) =>
      `${code} ${name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}`,
  )
  .join(", ")}.`;
