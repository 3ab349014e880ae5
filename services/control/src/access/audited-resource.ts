import type { DescMessage, Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";

/** Fields named like ids that name no resource. */
const NO_RESOURCES = new Set(["request_id", "resolution_id"]);

/**
 * The id of what a call is about: the one that the request names, or that its resource has, or that the answer
 * brings. Empty when there is none. Read by the names of fields, so that methods to come have theirs too.
 */
export function auditedResource(
  request: { readonly desc: DescMessage; readonly message: Message | undefined },
  response: { readonly desc: DescMessage; readonly message: Message | undefined },
): string {
  return (
    idIn(request.desc, request.message) ||
    idIn(response.desc, response.message) ||
    firstId(request.desc, request.message) ||
    ""
  );
}

/** The field `id` of the message, or of the resource in it. */
function idIn(desc: DescMessage, message: Message | undefined): string | undefined {
  if (message === undefined) return undefined;
  const read = reflect(desc, message, false);
  const own = desc.fields.find((field) => field.name === "id" && field.fieldKind === "scalar");
  if (own !== undefined) return String(read.get(own));
  for (const field of desc.fields) {
    if (field.fieldKind !== "message" || !read.isSet(field)) continue;
    const id = field.message.fields.find(({ name }) => name === "id");
    if (id === undefined) continue;
    const value: unknown = Reflect.get(message, field.localName);
    const found: unknown =
      typeof value === "object" && value ? Reflect.get(value, id.localName) : "";
    if (typeof found === "string" && found !== "") return found;
  }
  return firstId(desc, message);
}

/** The first field whose name ends like an id, or a list of them. */
function firstId(desc: DescMessage, message: Message | undefined): string | undefined {
  if (message === undefined) return undefined;
  for (const { name, localName } of desc.fields) {
    if (!/_ids?$|^ids$/.test(name) || NO_RESOURCES.has(name)) continue;
    const value: unknown = Reflect.get(message, localName);
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (typeof first === "string" && first !== "") return first;
  }
  return undefined;
}
