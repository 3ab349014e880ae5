import { type Command, InvalidArgumentError } from "commander";
import { METHODS, methodName } from "../methods.ts";
import type { Terminal } from "../terminal.ts";

/** `sluice completion bash|zsh`: what a shell needs to complete our commands. */
export function addCompletion(program: Command, terminal: Terminal): void {
  program
    .command("completion")
    .helpGroup("Setting up:")
    .description("Print the script that lets a shell complete commands and flags")
    .argument("<shell>", "bash or zsh", (name: string) => {
      if (!(name in SCRIPTS)) throw new InvalidArgumentError("It is bash or zsh.");
      return name;
    })
    .addHelpText(
      "after",
      `
Examples:
  $ source <(sluice completion bash)
      in ~/.bashrc
  $ source <(sluice completion zsh)
      in ~/.zshrc, after compinit`,
    )
    .action((shell: string) => terminal.out(SCRIPTS[shell] ?? ""));
  program
    .command("complete", { hidden: true })
    .argument("[words...]")
    .allowUnknownOption()
    .helpOption(false)
    .action((words: readonly string[]) => {
      for (const word of complete(program, words)) terminal.out(`${word}\n`);
    });
}

/** What the last word, which may be empty, can become. */
export function complete(program: Command, words: readonly string[]): string[] {
  const before = words.slice(0, -1);
  const last = words.at(-1) ?? "";
  let at = program;
  for (const word of before) at = at.commands.find((each) => each.name() === word) ?? at;
  const previous = at.options.find((option) => option.long === before.at(-1));
  const choices = /One of: (.*)\.$/.exec(previous?.description ?? "")?.[1]?.split(", ");
  const candidates =
    choices ??
    (last.startsWith("-")
      ? at.options.map((option) => option.long ?? "")
      : at.name() === "call"
        ? METHODS.map(methodName)
        : at.name() === "completion"
          ? Object.keys(SCRIPTS)
          : at.commands.map((command) => command.name()).filter((name) => name !== "complete"));
  return candidates.filter((candidate) => candidate.startsWith(last)).sort();
}

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_sluice() {
  local IFS=$'\\n'
  COMPREPLY=($(sluice complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _sluice sluice
`,
  zsh: `_sluice() {
  local -a found
  found=(\${(f)"$(sluice complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  compadd -a found || _files
}
compdef _sluice sluice
`,
};
