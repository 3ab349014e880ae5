import { zstdDecompressSync } from "node:zlib";
import avro from "avsc";
import { snappyUncompress } from "hysnappy";

/** 64-bit whole numbers as BigInt: avsc alone loses their last digits. */
const LONG = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === "bigint",
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

/** An object container file as avsc reads it: the record's fields, and each record's values as text. */
export async function decodeByAvsc(
  bytes: Uint8Array,
): Promise<{ fields: string[]; rows: (string | null)[][] }> {
  const decoder = new avro.streams.BlockDecoder({
    parseHook: (schema: unknown) => avro.Type.forSchema(schema, { registry: { long: LONG } }),
    codecs: {
      null: (data: Buffer, done: Done) => done(null, data),
      deflate: avro.streams.BlockDecoder.defaultCodecs().deflate,
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

function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) return value.toString("latin1");
  if (typeof value === "object")
    return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? Number(each) : each));
  return String(value);
}
