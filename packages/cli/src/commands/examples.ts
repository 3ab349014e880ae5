import { type DescField, type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { oneof as oneofRules, field as rules } from "@sluice/api/buf/validate/validate_pb";
import type { Command } from "commander";
import { flagsOf, type RequestField, resourceOf } from "../fields.ts";
import { kebab } from "../methods.ts";
import { kindOf } from "../names.ts";
import { placeholderOf, shortNames } from "../values.ts";

/** A command line, with what it does; empty where the line says it. */
export type Example = readonly [line: string, what: string];

/** The end of a help text. */
export function renderExamples(examples: readonly Example[]): string {
  const lines = examples.map(
    ([line, what]) => `  $ ${line}\n${what === "" ? "" : `      ${what}\n`}`,
  );
  return lines.length === 0 ? "" : `\nExamples:\n${lines.join("")}`;
}

/** The words that call a command, the program's name first. */
export function wordsTo(command: Command): string {
  const above = command.parent === null ? "" : `${wordsTo(command.parent)} `;
  return `${above}${command.name()}`;
}

/** What a method's messages say an example must have: its words, and what a request cannot be without. */
export function exampleOf(
  command: Command,
  desc: DescMethod,
  words: readonly RequestField[],
): Example {
  const values = words.map(({ path }) => shown(path.at(-1), desc));
  const needs = neededFlags(desc, words);
  const what = values.length > 0 && kindOfFirst(desc, words) !== "" ? "by its name, or its id" : "";
  if (needs === undefined) {
    const file = `${kebab(resourceOf(desc.input)?.name ?? "request").replaceAll("_", "-")}.yaml`;
    return [[wordsTo(command), ...values, "-f", file].join(" "), "from a file of YAML or JSON"];
  }
  return [[wordsTo(command), ...values, ...needs].join(" "), what];
}

const kindOfFirst = (desc: DescMethod, [first]: readonly RequestField[]): string => {
  const leaf = first?.path.at(-1);
  return leaf === undefined || !(kindOf(desc, leaf) in NAMES) ? "" : kindOf(desc, leaf);
};

/** Flags for what has to be said beside the words; undefined when it takes a file to say it. */
function neededFlags(desc: DescMethod, words: readonly RequestField[]): string[] | undefined {
  const { input } = desc;
  if (resourceOf(input) !== undefined) return undefined;
  const isWord = (field: DescField): boolean => words.some(({ path }) => path.at(-1) === field);
  const chosen = input.oneofs
    .filter((each) => hasOption(each, oneofRules) && getOption(each, oneofRules).required)
    .flatMap(({ fields: [first] }) => first ?? []);
  const required = input.fields.filter((field) => isRequired(field) && !isWord(field));
  const flags: string[] = [];
  for (const field of [...chosen, ...required]) {
    if (field.message !== undefined || field.fieldKind === "map") return undefined;
    const flag = flagsOf(input).find(({ path }) => path.length === 1 && path[0] === field)?.flag;
    if (flag === undefined) return undefined;
    const isSwitch = placeholderOf(field) === "boolean";
    flags.push(isSwitch ? `--${flag}` : `--${flag} ${shown(field, desc)}`);
  }
  return flags;
}

function isRequired(field: DescField): boolean {
  if (!hasOption(field, rules)) return false;
  const { required, type } = getOption(field, rules);
  return (
    required ||
    (type.case === "repeated" && type.value.minItems > 0n) ||
    (type.case === "enum" && type.value.notIn.includes(0))
  );
}

/** What the demo has, or what people would call theirs. */
const NAMES: Readonly<Record<string, string>> = {
  credential: "Acme",
  feed: "example.customers",
  courier: "Customers",
  courier_group: "Nightly",
  group: "Nightly",
};
const TEXTS: Readonly<Record<string, string>> = {
  key: "customers/2026-11-20.csv",
  date: "2026-11-20",
  start_date: "2026-11-01",
  end_date: "2026-12-01",
  prefix: "customers/",
  name: "Customers",
  source: "example",
  time_zone: "Europe/Berlin",
  cron: "'0 6 * * *'",
};

function shown(field: DescField | undefined, desc: DescMethod): string {
  if (field === undefined) return "...";
  const kind = kindOf(desc, field);
  if (kind !== "") return NAMES[kind] ?? `${kind.replaceAll(" ", "_")}_...`;
  if (field.name === "ids") return `${kebab(desc.parent.name.replace(/Service$/, ""))}_...`;
  if (field.fieldKind === "enum") return shortNames(field.enum)[0] ?? "...";
  return (
    TEXTS[field.name] ?? VALUES[placeholderOf(field)] ?? `@${field.name.replaceAll("_", "-")}.txt`
  );
}

const VALUES: Readonly<Record<string, string>> = {
  number: "10",
  seconds: "60",
  time: "2026-11-20T06:00:00Z",
  paths: "name",
};
