import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type JsonObject,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { resourceOf } from "./fields.ts";
import { invoke } from "./invoke.ts";
import { commentOf, kebab, METHODS } from "./methods.ts";
import { toMessage } from "./request.ts";
import { usageError } from "./usage.ts";

/** As control makes them: a prefix and 20 characters. */
const ID = /^[a-z]+_[A-Za-z0-9_-]{20}$/;
const PAGE = 1000;

/**
 * Puts ids where people wrote names, wherever a request wants an id: in `id`, `courier_id`, `loads[0].feed_id`. Names
 * that nobody lists stay as they are.
 */
export async function namesToIds(
  transport: Transport,
  method: DescMethod,
  request: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  const walk = async (desc: DescMessage, value: JsonObject, depth: number): Promise<JsonObject> =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(value).map(async ([name, inner]): Promise<[string, JsonValue]> => {
          const field = desc.fields.find((each) => each.jsonName === name || each.name === name);
          return [name, field === undefined ? inner : await idsOf(field, inner, depth)];
        }),
      ),
    );
  const idsOf = async (field: DescField, value: JsonValue, depth: number): Promise<JsonValue> => {
    if (Array.isArray(value)) {
      return await Promise.all(value.map(async (item) => await idsOf(field, item, depth)));
    }
    if (field.fieldKind === "map" && field.message === undefined && isObject(value)) {
      const entries = Object.entries(value).map(
        async ([key, inner]): Promise<[string, JsonValue]> => [
          key,
          await idsOf(field, inner, depth),
        ],
      );
      return Object.fromEntries(await Promise.all(entries));
    }
    if (field.message !== undefined && isObject(value)) {
      return await walk(field.message, value, depth + 1);
    }
    if (typeof value !== "string" || value === "" || ID.test(value)) return value;
    const isOwn =
      depth === 0 || (depth === 1 && field.parent === resourceOf(method.input)?.message);
    const list = listMethodOf(kindOf(method, field, isOwn));
    return list === undefined ? value : await toId(transport, list, value, signal);
  };
  return await walk(method.input, request, 0);
}

/** What an id belongs to: `feed` for `feed_id`, and for the `id` of ActivateFeed. */
export function kindOf(method: DescMethod, field: DescField, isOwn = true): string {
  if (/_ids?$/.test(field.name)) return field.name.replace(/_ids?$/, "");
  if (field.name !== "id" || !isOwn) return "";
  const said = /^The (.*)'s id\b/.exec(commentOf(`${field.parent.typeName}.id`))?.[1];
  return said ?? kebab(method.name).split("-").slice(1).join("_");
}

/** The method that lists what has this name; nothing where things have none. */
function listMethodOf(kind: string): DescMethod | undefined {
  const word = kind.replaceAll(/(?:^|[_ ])([a-z])/g, (_, letter: string) => letter.toUpperCase());
  if (word === "") return undefined;
  const lists = METHODS.map(({ desc }) => desc).filter(
    ({ name, output }) =>
      name.startsWith("List") &&
      name.endsWith(`${word}s`) &&
      output.fields.some((list) => list.message?.fields.some((each) => each.name === "name")),
  );
  return lists.find(({ name }) => name === `List${word}s`) ?? lists[0];
}

/** The id of what a person calls by its name: "Acme", or `source.name` for feeds. An id stays as it is. */
async function toId(
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

function asObject(value: JsonValue): JsonObject {
  return isObject(value) ? value : {};
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
