import { CHECKSUM_ALGORITHMS } from "./checksums.ts";
import { type Exchange, sendXml, storageOf } from "./exchange.ts";
import { endOfPrefix, lowerBound } from "./key-index.ts";
import type { StoredObject } from "./object-store.ts";
import { S3Error } from "./s3-error.ts";
import { uriEncode } from "./sigv4.ts";
import { element, field, s3Document } from "./xml.ts";

const MAX_KEYS = 1_000;

/** The last thing a page listed: a key, or a common prefix standing for every key below it. */
interface Position {
  readonly name: string;
  readonly isPrefix: boolean;
}

interface Page {
  readonly items: readonly ({ readonly key: string } | { readonly prefix: string })[];
  readonly next: Position | undefined;
}

/** ListObjectsV2: at most 1,000 keys and common prefixes a page. */
export async function listObjectsV2(exchange: Exchange): Promise<void> {
  const { query } = exchange;
  const token = query.get("continuation-token");
  const startAfter = query.get("start-after");
  const position =
    token !== undefined
      ? parseToken(token)
      : startAfter !== undefined
        ? { name: startAfter, isPrefix: false }
        : undefined;
  const encode = encoderOf(query);
  const withOwner = query.get("fetch-owner") === "true";
  const { page, maxKeys, contents, prefixes } = list(exchange, position, encode, withOwner);
  sendXml(
    exchange,
    200,
    s3Document(
      "ListBucketResult",
      field("Name", exchange.bucketName),
      field("Prefix", encode(query.get("prefix") ?? "")),
      field("Delimiter", encodeOptional(encode, query.get("delimiter"))),
      field("StartAfter", encodeOptional(encode, startAfter)),
      field("ContinuationToken", token),
      field("NextContinuationToken", page.next && toToken(page.next)),
      field("KeyCount", page.items.length),
      field("MaxKeys", maxKeys),
      field("EncodingType", query.get("encoding-type")),
      field("IsTruncated", page.next !== undefined),
      contents,
      prefixes,
    ),
  );
}

/** ListObjects, the first version, which pages by marker. */
export async function listObjectsV1(exchange: Exchange): Promise<void> {
  const { query } = exchange;
  const marker = query.get("marker");
  const delimiter = query.get("delimiter");
  const encode = encoderOf(query);
  const isPrefix = Boolean(delimiter && marker?.endsWith(delimiter));
  const position = marker ? { name: marker, isPrefix } : undefined;
  const { page, maxKeys, contents, prefixes } = list(exchange, position, encode, true);
  sendXml(
    exchange,
    200,
    s3Document(
      "ListBucketResult",
      field("Name", exchange.bucketName),
      field("Prefix", encode(query.get("prefix") ?? "")),
      field("Marker", encode(marker ?? "")),
      field("Delimiter", encodeOptional(encode, delimiter)),
      field("NextMarker", delimiter ? encodeOptional(encode, page.next?.name) : undefined),
      field("MaxKeys", maxKeys),
      field("EncodingType", query.get("encoding-type")),
      field("IsTruncated", page.next !== undefined),
      contents,
      prefixes,
    ),
  );
}

function list(
  exchange: Exchange,
  position: Position | undefined,
  encode: (text: string) => string,
  withOwner: boolean,
): { page: Page; maxKeys: number; contents: string; prefixes: string } {
  const { query, state } = exchange;
  const { objects } = storageOf(exchange);
  const maxKeys = parseMaxKeys(query.get("max-keys"));
  const page = cutPage(
    objects.index.sorted(),
    query.get("prefix") ?? "",
    query.get("delimiter") ?? "",
    maxKeys,
    position,
  );
  const owner = withOwner ? element("Owner", field("ID", state.accounts.accountId)) : "";
  let contents = "";
  let prefixes = "";
  for (const item of page.items) {
    if ("prefix" in item) {
      prefixes += element("CommonPrefixes", field("Prefix", encode(item.prefix)));
      continue;
    }
    const object = objects.index.get(item.key);
    if (object !== undefined) contents += objectElement(object, encode, owner);
  }
  return { page, maxKeys, contents, prefixes };
}

function objectElement(
  object: StoredObject,
  encode: (text: string) => string,
  owner: string,
): string {
  const algorithm = CHECKSUM_ALGORITHMS.find((name) => name === object.checksum?.algorithm);
  return element(
    "Contents",
    field("Key", encode(object.key)),
    field("LastModified", object.lastModified),
    field("ETag", `"${object.etag}"`),
    field("ChecksumAlgorithm", algorithm?.toUpperCase()),
    field("ChecksumType", object.checksum?.type),
    field("Size", object.size),
    owner,
    field("StorageClass", "STANDARD"),
  );
}

/** One page of `keys`, which are in S3's order. Skips a common prefix in one step, however many keys it has. */
function cutPage(
  keys: readonly string[],
  prefix: string,
  delimiter: string,
  maxKeys: number,
  after: Position | undefined,
): Page {
  const items: ({ key: string } | { prefix: string })[] = [];
  let last: Position | undefined;
  let index = lowerBound(keys, prefix, false);
  if (after !== undefined) {
    index = Math.max(index, lowerBound(keys, after.name, true));
    if (after.isPrefix) index = endOfPrefix(keys, after.name, index);
  }
  while (index < keys.length) {
    const key = keys[index] ?? "";
    if (!key.startsWith(prefix)) break;
    if (items.length === maxKeys) return { items, next: maxKeys === 0 ? undefined : last };
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    if (cut < 0) {
      items.push({ key });
      last = { name: key, isPrefix: false };
      index++;
    } else {
      const common = key.slice(0, cut + delimiter.length);
      items.push({ prefix: common });
      last = { name: common, isPrefix: true };
      index = endOfPrefix(keys, common, index);
    }
  }
  return { items, next: undefined };
}

function parseMaxKeys(text: string | undefined): number {
  if (text === undefined || text === "") return MAX_KEYS;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 2 ** 31 - 1) {
    throw new S3Error(
      "InvalidArgument",
      "Argument maxKeys must be an integer between 0 and 2147483647",
      { detail: { ArgumentName: "max-keys", ArgumentValue: text } },
    );
  }
  return Math.min(value, MAX_KEYS);
}

function encoderOf(query: ReadonlyMap<string, string>): (text: string) => string {
  const type = query.get("encoding-type");
  if (type === undefined) return (text) => text;
  if (type !== "url") {
    throw new S3Error("InvalidArgument", "Invalid Encoding Method specified in Request", {
      detail: { ArgumentName: "encoding-type", ArgumentValue: type },
    });
  }
  return (text) => text.split("/").map(uriEncode).join("/");
}

function encodeOptional(
  encode: (text: string) => string,
  text: string | undefined,
): string | undefined {
  return text === undefined ? undefined : encode(text);
}

function toToken(position: Position): string {
  const kind = position.isPrefix ? "p" : "k";
  return Buffer.from(kind + position.name).toString("base64url");
}

function parseToken(token: string): Position {
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (/^[pk]/.test(text)) return { name: text.slice(1), isPrefix: text.startsWith("p") };
  throw new S3Error("InvalidArgument", "The continuation token provided is incorrect", {
    detail: { ArgumentName: "continuation-token" },
  });
}
