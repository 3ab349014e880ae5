import type { DescField, DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { refuseField } from "../server/field-violations.ts";

/** How a resource may be changed. */
export interface MaskRules {
  /** The update request: what faults are told against. */
  readonly request: DescMessage;
  /** Top-level fields that callers may change, and with them everything below. */
  readonly writable: readonly string[];
  /** Fields below them that the service makes. */
  readonly readOnly?: readonly string[];
}

/**
 * Copies the fields that the paths name from one message into another. `*` stands for all writable
 * fields. A path that names nothing, or nothing that may be changed, is INVALID_ARGUMENT naming it.
 * Returns the paths, `*` resolved.
 */
export function applyMask<Desc extends DescMessage>(
  schema: Desc,
  target: MessageShape<Desc>,
  source: MessageShape<Desc>,
  paths: readonly string[],
  rules: MaskRules,
): readonly string[] {
  if (paths.length === 0) {
    refuseField(rules.request, "update_mask", "update_mask.empty", "names no field to change");
  }
  const named = paths.flatMap((path) => (path === "*" ? rules.writable : [path]));
  for (const path of named) {
    const names = path.split(".");
    if (
      rules.readOnly?.includes(path) ||
      !rules.writable.includes(names[0] ?? "") ||
      !copy(names, reflect(schema, target), reflect(schema, source))
    ) {
      const why = `${JSON.stringify(path)} is not a field that can be changed`;
      refuseField(rules.request, "update_mask", "update_mask.unknown_path", why);
    }
  }
  return named;
}

/** Copies the fields that the paths name from one message into another; false when there is no such field. */
export function copyMasked<Desc extends DescMessage>(
  schema: Desc,
  target: MessageShape<Desc>,
  source: MessageShape<Desc>,
  paths: readonly string[],
): boolean {
  return paths.every((path) =>
    copy(path.split("."), reflect(schema, target), reflect(schema, source)),
  );
}

/** Whether a mask names the field itself, or something above it. */
export function isMasked(paths: readonly string[], field: string): boolean {
  return paths.some((path) => path === field || field.startsWith(`${path}.`));
}

/** False when the message has no such field. */
function copy(names: readonly string[], target: ReflectMessage, source: ReflectMessage): boolean {
  const [name, ...rest] = names;
  const field = target.desc.fields.find((each) => each.name === name);
  if (field === undefined) {
    return false;
  }
  if (rest.length === 0) {
    copyField(field, target, source);
    return true;
  }
  if (field.fieldKind !== "message") {
    return false;
  }
  // Getting a message field that is not set gives an empty one: what is copied out of it is nothing.
  const inner = target.get(field);
  if (!copy(rest, inner, source.get(field))) {
    return false;
  }
  target.set(field, inner);
  return true;
}

function copyField(field: DescField, target: ReflectMessage, source: ReflectMessage): void {
  if (!source.isSet(field)) {
    target.clear(field);
    return;
  }
  switch (field.fieldKind) {
    case "list": {
      const list = target.get(field);
      list.clear();
      for (const item of source.get(field)) {
        list.add(item);
      }
      return;
    }
    case "map": {
      const map = target.get(field);
      map.clear();
      for (const [key, value] of source.get(field)) {
        map.set(key, value);
      }
      return;
    }
    default:
      target.set(field, source.get(field));
  }
}
