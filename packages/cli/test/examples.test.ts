import type { Command } from "commander";
import { expect, it } from "vitest";
import { wordsTo } from "../src/commands/examples.ts";
import { createProgram } from "../src/program.ts";
import { run } from "./terminal.ts";

/** Nobody listens there: port 9 is discard's. */
const NOBODY = "http://127.0.0.1:9";

/** A program whose commands are parsed, and do nothing. */
function quietProgram(): Command {
  const program = createProgram({
    env: {},
    isInteractive: false,
    columns: 200,
    out: () => {},
    err: () => {},
    readInput: async () => Buffer.alloc(0),
    signal: new AbortController().signal,
  });
  for (const command of commandsBelow(program)) {
    if (command.commands.length === 0) command.action(() => {});
  }
  return program;
}

const commandsBelow = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap(commandsBelow),
];

const QUIET = quietProgram();
/** `complete` is for shells; it has no help. */
const COMMANDS = commandsBelow(QUIET)
  .filter((command) => command.name() !== "complete")
  .map((command) => wordsTo(command));

/** The arguments of the call of sluice in a shell's line. */
function argumentsOf(line: string): string[] {
  const call = /\bsluice (.*)$/.exec(line.replace(/^source <\((.*)\)$/, "$1"))?.[1] ?? "";
  const words = call.match(/(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+/g) ?? [];
  const end = words.findIndex((word) => word === "|" || word === ">");
  return words
    .slice(0, end < 0 ? words.length : end)
    .map((word) => word.replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'/g, "$1$2"));
}

async function examplesOf(words: string): Promise<string[]> {
  const { code, out } = await run([...words.split(" ").slice(1), "--help"]);
  expect(code).toBe(0);
  return [...out.matchAll(/^ {2}\$ (.*)$/gm)].map(([, line = ""]) => line);
}

it("walks all commands", () => {
  expect(COMMANDS.length).toBeGreaterThan(100);
});

it.each(COMMANDS)("the help of %s has examples, and each is a command line", async (words) => {
  const examples = await examplesOf(words);
  expect(examples).not.toEqual([]);
  for (const line of examples) {
    const args = argumentsOf(line);
    expect(args, line).not.toEqual([]);
    try {
      await QUIET.parseAsync(args, { from: "user" });
    } catch (error) {
      // Help that was asked for ends a parse as well.
      expect(error, line).toMatchObject({ code: "commander.helpDisplayed" });
    }
  }
});

it("an example that the .proto files alone describe makes a request that can be sent", async () => {
  const sent: string[] = [];
  const refused: object[] = [];
  for (const words of COMMANDS) {
    for (const line of await examplesOf(words)) {
      const args = argumentsOf(line);
      // What files hold, and installations of one's own, are not there.
      if (args.some((arg) => /^@|^-f$|^--help$|^-$/.test(arg)) || !line.startsWith(words)) continue;
      if (/^sluice (profile|completion|call$|upload)/.test(line)) continue;
      const { code, err } = await run(args, { env: { SLUICE_URL: NOBODY, HOME: "/nowhere" } });
      if (code === 4) sent.push(line);
      else refused.push({ line, code, err });
    }
  }
  expect(refused).toEqual([]);
  expect(sent.length).toBeGreaterThan(50);
}, 120_000);
