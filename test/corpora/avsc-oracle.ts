import { zstdDecompressSync } from "node:zlib";
import avro from "avsc";
import { snappyUncompress } from "hysnappy";
import { LONG } from "./avsc-long.ts";

/** An object container file as avsc reads it: the record's fields, and each record's values as text. */
export async function decodeByAvsc(
  bytes: Uint8Array,
): Promise<{ fields: string[]; rows: (string | null)[][] }> {
  const decoder = new avro.streams.BlockDecoder({
    parseHook: (schema: avro.Schema) => avro.Type.forSchema(schema, { registry: { long: LONG } }),
    codecs: {
      ...avro.streams.BlockDecoder.defaultCodecs(),
      snappy: (data: Buffer, done: Done) => done(null, unsnap(data)),
      zstandard: (data: Buffer, done: Done) => done(null, zstdDecompressSync(data)),
    },
  });
  let fields: string[] = [];
  decoder.on("metadata", (type: { fields?: { name: string }[] }) => {
    fields = (type.fields ?? []).map(({ name }) => name);
  });
  const rows: (string | null)[][] = [];
  decoder.end(Buffer.from(bytes));
  for await (const record of decoder) rows.push(fields.map((name) => toText(record[name])));
  return { fields, rows };
}

type Done = (error: Error | null, data: Buffer) => void;

/** Without the CRC-32 at the end; the length in front is a varint. */
function unsnap(data: Buffer): Buffer {
  let length = 0;
  for (let at = 0, shift = 0; ; at++, shift += 7) {
    const byte = data[at] ?? 0;
    length += (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return Buffer.from(snappyUncompress(data.subarray(0, data.length - 4), length));
}

/** Bytes are texts of Latin-1 in Avro's JSON encoding. `each` has gone through its own toJSON, `this` holds it before. */
function toJson(this: unknown, name: string, each: unknown): unknown {
  const before: unknown = Reflect.get(this as object, name);
  if (Buffer.isBuffer(before)) return before.toString("latin1");
  return typeof each === "bigint" ? Number(each) : each;
}

function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) return value.toString("latin1");
  if (typeof value === "object") return JSON.stringify(value, toJson);
  return String(value);
}
