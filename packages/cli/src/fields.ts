import { type DescField, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { field as rules } from "@sluice/api/buf/validate/validate_pb";
import { commentOf, kebab } from "./methods.ts";

/** A field of a request, at any depth, that a flag or a word of the command line sets. */
export interface RequestField {
  /** From the request's message to the field. */
  readonly path: readonly DescField[];
  /** Without the dashes: `spec.primary-key`. */
  readonly flag: string;
}

/** Messages whose JSON is one value: they have no flags below them. */
const VALUES = /^google\.protobuf\./;
/** What every command, or some, says about itself: a webhook's url is --its-url. */
const OWN_FLAGS = new Set(["all", "file", "help", "json", "pick", "profile", "url", "wait"]);
/** FileSettings hold entries that hold FileSettings: deeper parts come from files. */
const MAX_DEPTH = 5;

/**
 * The message field that a request is about, as `feed` of CreateFeedRequest: its fields need no prefix, and files hold
 * it alone.
 */
export function resourceOf(request: DescMessage): DescField | undefined {
  const name = /^(?:Create|Update|Validate|Publish)(\w+)Request$/.exec(request.name)?.[1];
  return request.fields.find(
    (field) => field.fieldKind === "message" && field.message.name === name,
  );
}

/** What stands as words after the command, in their order: the texts that every request needs. */
export function positionalsOf(request: DescMessage): RequestField[] {
  const resource = resourceOf(request);
  const id = request.name.startsWith("Update")
    ? resource?.message?.fields.find(({ name }) => name === "id")
    : undefined;
  if (resource !== undefined && id !== undefined) return [{ path: [resource, id], flag: "id" }];
  return request.fields.filter(isNeededText).map((field) => ({ path: [field], flag: flag(field) }));
}

/** Every flag of a request; what `positionalsOf` gives is left out. */
export function flagsOf(request: DescMessage): RequestField[] {
  const resource = resourceOf(request);
  const taken = new Set(positionalsOf(request).map((field) => field.path.at(-1)));
  const ofResource = resource === undefined ? [] : ofResourceOf(request, resource, taken);
  const names = new Set(ofResource.map((field) => field.flag));
  const others = below(
    [],
    request.fields.filter((field) => field !== resource),
    "",
    taken,
  ).filter((field) => !names.has(field.flag));
  return [...ofResource, ...others].map((field) =>
    OWN_FLAGS.has(field.flag)
      ? { ...field, flag: `${field.path.length > 1 ? "its" : "request"}-${field.flag}` }
      : field,
  );
}

/** Of a resource that may be there already, the id is one more flag. */
function ofResourceOf(
  request: DescMessage,
  resource: DescField,
  taken: ReadonlySet<DescField | undefined>,
): RequestField[] {
  const fields = resource.message?.fields ?? [];
  const id = fields.filter(({ name }) => name === "id" && request.name.startsWith("Validate"));
  return [
    ...id.map((field) => ({ path: [resource, field], flag: "id" })),
    ...below([resource], fields, "", taken),
  ];
}

function below(
  path: readonly DescField[],
  fields: readonly DescField[],
  prefix: string,
  taken: ReadonlySet<DescField | undefined>,
): RequestField[] {
  return fields
    .filter((field) => !taken.has(field) && !isServerMade(field))
    .flatMap((field) => {
      const here = { path: [...path, field], flag: `${prefix}${flag(field)}` };
      const repeats = path.some((above) => above.message === field.message);
      return field.fieldKind === "message" &&
        !VALUES.test(field.message.typeName) &&
        path.length < MAX_DEPTH &&
        !(repeats && field.message.fields.length > 0)
        ? [here, ...below(here.path, field.message.fields, `${here.flag}.`, taken)]
        : [here];
    });
}

/** What callers never say: the .proto files tell it in these words. */
function isServerMade(field: DescField): boolean {
  return (
    ["create_time", "update_time", "last_status", "connection_status"].includes(field.name) ||
    /\bMade by the service\b/.test(commentOf(`${field.parent.typeName}.${field.name}`))
  );
}

function flag(field: DescField): string {
  return kebab(field.name.replaceAll("_", "-"));
}

/** A text that must not be empty. */
export function isNeededText(field: DescField): boolean {
  if (field.fieldKind !== "scalar" || field.oneof !== undefined) return false;
  if (field.name === "request_id") return false;
  if (!hasOption(field, rules)) return false;
  const { required, type } = getOption(field, rules);
  return required || (type.case === "string" && type.value.minLen >= 1n);
}
