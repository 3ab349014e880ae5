import type { DescField, DescMethod, JsonObject } from "@bufbuild/protobuf";
import { toJson } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { invoke } from "./invoke.ts";
import { METHODS } from "./methods.ts";
import { toMessage } from "./request.ts";
import { usageError } from "./usage.ts";

/** As control makes them: a prefix and 20 characters. */
const ID = /^[a-z]+_[A-Za-z0-9_-]{20}$/;
const PAGE = 1000;

/** The method that lists what the ids of a field belong to; nothing where things have no names. */
export function listMethodOf(method: DescMethod, field: DescField): DescMethod | undefined {
  const service =
    field.name === "id"
      ? method.parent.name
      : field.name.endsWith("_id")
        ? `${field.localName.charAt(0).toUpperCase()}${field.localName.slice(1, -2)}Service`
        : undefined;
  const kind = service?.replace(/Service$/, "");
  if (kind === undefined) return undefined;
  return METHODS.find(
    ({ desc }) =>
      desc.name === `List${kind}s` &&
      (desc.parent.name === service || desc.parent.name.endsWith(service ?? "")) &&
      desc.output.fields.some(
        (list) =>
          list.fieldKind === "list" && list.message?.fields.some(({ name }) => name === "name"),
      ),
  )?.desc;
}

/** The id of what a person calls by its name: "Acme", or `source.name` for feeds. An id stays as it is. */
export async function toId(
  transport: Transport,
  list: DescMethod,
  text: string,
  signal: AbortSignal,
): Promise<string> {
  if (ID.test(text)) return text;
  const known: { readonly id: string; readonly names: readonly string[] }[] = [];
  let pageToken = "";
  do {
    const request = toMessage(list.input, { pageSize: PAGE, pageToken });
    for await (const answer of invoke(transport, list, [request], signal)) {
      const page = asObject(toJson(list.output, answer));
      for (const value of Object.values(page)) {
        if (Array.isArray(value)) known.push(...value.map((item) => identityOf(asObject(item))));
      }
      pageToken = String(page.nextPageToken ?? "");
    }
  } while (pageToken !== "");
  const wanted = text.toLowerCase();
  const found = known.filter(({ id, names }) => id === text || names.includes(wanted));
  const [one, another] = found;
  if (one !== undefined && another === undefined) return one.id;
  const all = known.map(({ names }) => names[0]).join(", ");
  throw usageError(
    one === undefined
      ? `nothing is called ${text}; there are: ${all || "none"}`
      : `${found.length} are called ${text}: ${found.map(({ id }) => id).join(", ")}`,
  );
}

function identityOf(item: JsonObject): { id: string; names: string[] } {
  const name = String(item.name ?? "").toLowerCase();
  const source = typeof item.source === "string" ? [`${item.source.toLowerCase()}.${name}`] : [];
  return { id: String(item.id ?? ""), names: [...source, name] };
}

function asObject(value: unknown): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value));
}
