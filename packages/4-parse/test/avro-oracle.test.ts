import { StageError } from "@sluice/errors";
import { chunked } from "@sluice/streams/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAvro } from "../src/index.ts";
import { CODECS, container, encode, type Json, readAvro, toType, wanted } from "./avro-file.ts";

/** A schema, and values for it as avsc takes them. `toText` writes one as JSON by the test's own way. */
interface Typed {
  readonly schema: Json;
  readonly values: fc.Arbitrary<unknown>;
  readonly toText: (value: never) => string;
}

const quote = (value: string): string => JSON.stringify(value);
const typed = <T>(
  schema: Json,
  values: fc.Arbitrary<T>,
  toText: (value: T) => string = String,
): Typed => ({ schema, values, toText: toText as Typed["toText"] });

const doubleText = (value: number): string => {
  if (Object.is(value, -0)) return "-0";
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? '"nan"' : value > 0 ? '"inf"' : '"-inf"';
};
const amount = fc.integer({ min: -1e9, max: 1e9 }).map((cents) => cents / 100);
const unit = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "grapheme", maxLength: 8 }),
  fc.constantFrom("", '"\\', "\u0000\u001f\n", "x".repeat(200)),
);

const SIMPLE: readonly Typed[] = [
  typed("null", fc.constant(null)),
  typed("boolean", fc.boolean()),
  typed("int", fc.integer()),
  typed(
    "long",
    fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt(-70n, 70n)),
  ),
  typed("float", fc.float(), doubleText),
  typed("double", fc.oneof(fc.double(), amount), doubleText),
  typed("string", unit, quote),
  typed("bytes", fc.uint8Array({ maxLength: 9 }).map(Buffer.from), (bytes) =>
    quote(bytes.toString("latin1")),
  ),
];

/** avsc makes an object of a map, which has no room for this key. */
const key = unit.filter((text) => text !== "__proto__");

let names = 0;

/** Types within types; every named one gets a name of its own. */
const types: fc.Arbitrary<Typed> = fc.letrec<{ type: Typed }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3, withCrossShrink: false },
    fc.constantFrom(...SIMPLE),
    fc
      .uniqueArray(fc.constantFrom("A", "B", "C", "D"), { minLength: 1 })
      .map((symbols) =>
        typed({ type: "enum", name: `E${names++}`, symbols }, fc.constantFrom(...symbols), quote),
      ),
    fc
      .integer({ min: 0, max: 40 })
      .map((size) =>
        typed(
          { type: "fixed", name: `F${names++}`, size },
          fc.uint8Array({ minLength: size, maxLength: size }).map(Buffer.from),
          (bytes) => quote(bytes.toString("latin1")),
        ),
      ),
    tie("type").map(({ schema, values, toText }) =>
      typed(
        { type: "array", items: schema },
        fc.array(values, { maxLength: 4 }),
        (items) => `[${items.map((item) => toText(item as never)).join()}]`,
      ),
    ),
    tie("type").map(({ schema, values, toText }) =>
      typed(
        { type: "map", values: schema },
        fc.dictionary(key, values, { maxKeys: 3, noNullPrototype: true }),
        (map) =>
          `{${Object.entries(map)
            .map(([key, value]) => `${quote(key)}:${toText(value as never)}`)
            .join()}}`,
      ),
    ),
    fc.array(tie("type"), { maxLength: 4 }).map((parts) => recordOf(parts)),
    fc.uniqueArray(fc.constantFrom(...SIMPLE), { minLength: 1, maxLength: 4 }).map(unionOf),
  ),
})).type;

function recordOf(parts: readonly Typed[]): Typed {
  const fields = parts.map(({ schema }, index) => ({ name: `f${index}`, type: schema }));
  const values = fc
    .tuple(...parts.map((part) => part.values))
    .map((list) => Object.fromEntries(list.map((value, index) => [`f${index}`, value])));
  return typed(
    { type: "record", name: `R${names++}`, fields },
    values,
    (value) =>
      `{${parts.map(({ toText }, i) => `"f${i}":${toText(value[`f${i}`] as never)}`).join()}}`,
  );
}

function unionOf(branches: readonly Typed[]): Typed {
  const nameOf = (branch: Typed): string => String(branch.schema);
  const values = fc.oneof(
    ...branches.map((branch) =>
      branch.values.map((value) => (value === null ? null : { [nameOf(branch)]: value })),
    ),
  );
  return typed(branches.map(({ schema }) => schema) as Json, values, (value) => {
    if (value === null) return "null";
    const [[name, inner] = ["", null]] = Object.entries(value);
    return branches.find((branch) => nameOf(branch) === name)?.toText(inner as never) ?? "?";
  });
}

/** What the cell of a column holds: a scalar's own text, JSON for all others, nothing for null. */
function cellOf({ schema, toText }: Typed, value: unknown): string | null {
  if (value === null) return null;
  if (Array.isArray(schema)) {
    const [[name, inner] = ["", null]] = Object.entries(value as object);
    const simple = SIMPLE.find((type) => type.schema === name);
    const isMixed = schema.filter((branch) => branch !== "null").length > 1;
    if (name === "bytes" && isMixed) return simple?.toText(inner as never) ?? null;
    return simple === undefined ? null : cellOf(simple, inner);
  }
  const kind = typeof schema === "string" ? schema : String((schema as { type: string }).type);
  if (kind === "bytes" || kind === "fixed") return (value as Buffer).toString();
  if (kind === "string" || kind === "enum") return value as string;
  if (kind === "float" || kind === "double") return toText(value as never).replaceAll('"', "");
  return toText(value as never);
}

const file = fc.array(types, { minLength: 1, maxLength: 6 }).chain((parts) =>
  fc.record({
    parts: fc.constant(parts),
    rows: fc.array(recordOf(parts).values, { maxLength: 12 }),
    perBlock: fc.integer({ min: 1, max: 6 }),
    codec: fc.constantFrom(...CODECS),
    chunk: fc.integer({ min: 1, max: 300 }),
    chosen: fc.subarray(parts.map((_, index) => index)),
  }),
);

describe("parseAvro of bytes that nobody wrote", () => {
  test("gives as many rows or one of our errors, for any schema, wanted or passed over", async () => {
    const byte = fc.oneof(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff), fc.nat(255));
    const given = fc.array(types, { minLength: 1, maxLength: 4 }).chain((parts) =>
      fc.record({
        parts: fc.constant(parts),
        rows: fc.array(recordOf(parts).values, { minLength: 1, maxLength: 6 }),
        changes: fc.array(fc.tuple(fc.nat(), byte), { maxLength: 3 }),
        tail: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, fc.array(byte)),
        isWanted: fc.boolean(),
      }),
    );
    const results = new Set<string>();
    await fc.assert(
      fc.asyncProperty(given, async ({ parts, rows, changes, tail, isWanted }) => {
        const { schema } = recordOf(parts);
        const whole = Buffer.concat(encode(schema, rows).map(({ data }) => data));
        const data = Buffer.concat([whole, Buffer.from(tail)]);
        for (const [at, value] of changes) data[at % Math.max(1, data.length)] = value;
        const { bytes } = container(schema, [{ count: rows.length, data }]);
        const fields = isWanted ? wanted(...parts.map((_, index) => `f${index}`)) : [];
        try {
          expect((await readAvro(bytes, fields, {}, 300)).rows).toHaveLength(rows.length);
          results.add("rows");
        } catch (error) {
          if (!(error instanceof StageError)) throw error;
          expect(error.coordinate.row).toBeGreaterThan(0);
          results.add(error.code);
        }
      }),
      { numRuns: 500 },
    );
    expect([...results]).toEqual(expect.arrayContaining(["rows", "malformed"]));
  });
});

describe("parseAvro agrees with avsc", () => {
  test("on random schemas and values, in every codec, block size and chunks", async () => {
    await fc.assert(
      fc.asyncProperty(file, async ({ parts, rows, perBlock, codec, chunk, chosen }) => {
        const { schema } = recordOf(parts);
        const blocks = encode(schema, rows, perBlock);
        const { bytes } = container(schema, blocks, codec);
        // What avsc reads back of its own bytes.
        const type = toType(schema);
        const known = rows.map((row) => type.fromBuffer(type.toBuffer(row)));
        const fields = wanted(...chosen.map((index) => `f${index}`));
        const table = await readAvro(bytes, fields, {}, chunk);
        expect(table.rows).toEqual(
          known.map((row) =>
            chosen.map((index) => {
              const part = parts[index];
              return part === undefined ? "?" : cellOf(part, row[`f${index}`]);
            }),
          ),
        );
        expect(table.extra).toHaveLength(parts.length - chosen.length);
      }),
      { numRuns: 500 },
    );
  });

  test("on doubles and longs of every size, one by one", async () => {
    const schema: Json = {
      type: "record",
      name: "R",
      fields: [
        { name: "d", type: "double" },
        { name: "l", type: "long" },
      ],
    };
    const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const sized = fc.tuple(long, fc.bigInt(0n, 63n)).map(([value, bits]) => value >> bits);
    const values = fc.array(
      fc.record({ d: fc.oneof(fc.double(), amount, fc.integer()), l: sized }),
      { minLength: 200, maxLength: 200 },
    );
    await fc.assert(
      fc.asyncProperty(values, async (rows) => {
        const { bytes } = container(schema, encode(schema, rows));
        const parsed = await parseAvro(wanted("d", "l"))(chunked(bytes, 4096));
        const [block] = await Array.fromAsync(parsed.blocks);
        const texts = (column: number): string[] => {
          const { offsets = new Int32Array(), data = Buffer.alloc(0) } =
            block?.columns[column] ?? {};
          const all = Buffer.from(data);
          return rows.map((_, row) => all.toString("latin1", offsets[row], offsets[row + 1]));
        };
        expect(texts(0)).toEqual(rows.map(({ d }) => doubleText(d).replaceAll('"', "")));
        expect(texts(1)).toEqual(rows.map(({ l }) => l.toString()));
      }),
      { numRuns: 150 },
    );
  });
});
