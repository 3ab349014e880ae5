import {
  type DescField,
  type DescMessage,
  type DescOneof,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { FieldRulesSchema, field, message, oneof } from "../src/buf/validate/validate_pb.ts";

/** What a field's value must be, in words like `min_len: 1`; nothing where everything is taken. */
export function limitsOf(desc: DescField): string[] {
  if (!hasOption(desc, field)) return [];
  return rulesOf(reflect(FieldRulesSchema, getOption(desc, field)));
}

/** The rules that concern several fields of a message, as their own messages. */
export function messageRulesOf(desc: DescMessage): string[] {
  if (!hasOption(desc, message)) return [];
  return getOption(desc, message).cel.map((rule) => rule.message);
}

/** Whether one member of the oneof has to be set. */
export function isRequired(desc: DescOneof): boolean {
  return hasOption(desc, oneof) && getOption(desc, oneof).required;
}

function rulesOf(rules: ReflectMessage): string[] {
  return rules.fields
    .filter((rule) => rules.isSet(rule))
    .flatMap((rule) => {
      switch (rule.fieldKind) {
        case "message": {
          const inner = rules.get(rule);
          const words = rulesOf(inner);
          // The kind of the rules ("string", "int32") is the field's own and says nothing.
          return rule.name === "items" || rule.name === "keys" || rule.name === "values"
            ? words.map((word) => `each ${word}`)
            : words;
        }
        case "list":
          return [`${rule.name}: ${[...rules.get(rule)].map(toText).join(", ")}`];
        case "scalar": {
          const value = rules.get(rule);
          return [value === true ? rule.name : `${rule.name}: ${toText(value)}`];
        }
        default:
          return [];
      }
    });
}

function toText(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
