import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CommandLine, openCommandLine } from "./command-line.ts";

/** Completion in the shells themselves. */

let line: CommandLine;
beforeAll(async () => {
  line = await openCommandLine();
});
afterAll(async () => await line[Symbol.asyncDispose]());

const isAbsent = (shell: string): boolean => spawnSync(shell, ["--version"]).status !== 0;

const noBash = isAbsent("bash");
if (noBash) console.warn("there is no bash here: skipped");
it.skipIf(noBash)("completes commands, flags, methods and values in bash", () => {
  const complete = (...words: readonly string[]): string[] =>
    execFileSync(
      "bash",
      [
        "-c",
        `set -eu; source <(sluice completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`,
        "bash",
        ...words,
      ],
      { env: line.env },
    )
      .toString()
      .trim()
      .split("\n");
  expect(complete("sluice", "cred")).toEqual(["credential"]);
  expect(complete("sluice", "credential", "add-r")).toEqual(["add-role"]);
  expect(complete("sluice", "run", "--da")).toEqual(["--date"]);
  expect(complete("sluice", "call", "FeedService/Act")).toEqual(["FeedService/ActivateFeed"]);
});

/**
 * An interactive zsh on a terminal of its own, with the completion of a fresh `compinit`. For each argument it types the
 * text and a tab, and prints what the line has become; the reads wait for that, and for nothing else. (The mark is written in
 * two, so that its own definition, echoed, is not taken for it.)
 */
const TYPE_AND_TAB = `
zmodload zsh/zpty
zpty shell zsh -f -i
say() { zpty -w shell "$1"; }
say 'stty -echo; autoload -Uz compinit; compinit -u; source <(sluice completion zsh)'
say 'unsetopt beep; setopt no_always_to_end'
say 'report() { print -rn -- "LI""NE<$BUFFER>ENIL"; BUFFER= }; zle -N report; bindkey "^T" report'
for typed in "$@"; do
  zpty -w -n shell "$typed"$'\\t'$'\\x14'
  zpty -r shell shown '*LINE<*>ENIL'
  shown=\${shown##*LINE<}
  print -r -- "\${shown%%>ENIL*}"
done
zpty -d shell
`;

const noZsh = isAbsent("zsh");
if (noZsh) console.warn("there is no zsh here: its completion is not tried");
describe.skipIf(noZsh)("zsh", () => {
  const typed = (...texts: readonly string[]): string[] => {
    const args = ["-f", "-c", TYPE_AND_TAB, "zsh", ...texts];
    const out = execFileSync("zsh", args, {
      env: { ...line.env, TERM: "xterm" },
      cwd: line.folder,
    });
    return out.toString().trimEnd().split("\n");
  };

  it("completes commands, flags, methods, values and files by tab", () => {
    writeFileSync(join(line.folder, "entities.json"), "[]");
    expect(
      typed(
        "sluice cred",
        "sluice credential add-r",
        "sluice run --da",
        "sluice call FeedService/Act",
        "sluice preview Acme key --view ra",
        "sluice upload act ent",
      ).map((text) => text.trimEnd()),
    ).toEqual([
      "sluice credential",
      "sluice credential add-role",
      "sluice run --date",
      "sluice call FeedService/ActivateFeed",
      "sluice preview Acme key --view raw",
      "sluice upload act entities.json",
    ]);
  }, 120_000);

  it("completes as far as candidates agree, and leaves alone what begins none", () => {
    expect(typed("sluice trust", "sluice credential ad", "sluice nothing-begins-so")).toEqual([
      "sluice trust-policy ",
      "sluice credential add-",
      "sluice nothing-begins-so",
    ]);
  }, 120_000);
});
