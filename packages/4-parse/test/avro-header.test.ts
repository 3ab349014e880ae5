import { chunked, probe } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseAvro } from "../src/index.ts";
import { join, long, readAvro, SYNC, text, wanted } from "./avro-file.ts";

// Attack P2.
describe("parseAvro refuses a header", () => {
  const of = (...parts: (Uint8Array | string)[]): Buffer =>
    Buffer.concat(parts.map((part) => Buffer.from(part)));
  const withSchema = (schema: string, codec = "null"): Buffer =>
    of(
      "Obj\u0001",
      long(2),
      text("avro.schema"),
      text(schema),
      text("avro.codec"),
      text(codec),
      long(0),
      SYNC,
    );

  test.each<[what: string, bytes: Buffer, code: string, message: string]>([
    ["of no bytes", of(), "malformed", "not an Avro object container file"],
    ["of a CSV file", of("a,b\n1,2\n"), "malformed", "set the format that the file has"],
    ["of Avro 1.2", of("Obj\u0000..."), "unsupported_feature", "old Avro version"],
    ["without a schema", of("Obj\u0001", long(0), SYNC), "malformed", "no avro.schema"],
    [
      "with two schemas",
      of(
        "Obj\u0001",
        long(2),
        text("avro.schema"),
        text('"int"'),
        text("avro.schema"),
        text('"long"'),
        long(0),
        SYNC,
      ),
      "malformed",
      "twice",
    ],
    ["with a schema that is no JSON", withSchema("{"), "malformed", "not JSON"],
    [
      "with a schema that is no UTF-8",
      of(
        "Obj\u0001",
        long(1),
        text("avro.schema"),
        text(Buffer.of(0x22, 0xff, 0x22)),
        long(0),
        SYNC,
      ),
      "bad_encoding",
      "not UTF-8",
    ],
    ["with an unknown type", withSchema('"Missing"'), "malformed", "not valid"],
    [
      "with a type of another's prototype",
      withSchema('{"type":"constructor"}'),
      "malformed",
      "not valid",
    ],
    [
      "with a name that is defined twice",
      withSchema('[{"type":"fixed","name":"A","size":1},{"type":"fixed","name":"A","size":2}]'),
      "malformed",
      "not valid",
    ],
    [
      "with a fixed of 2^31 bytes",
      withSchema('{"type":"fixed","name":"F","size":2147483648}'),
      "malformed",
      "not valid",
    ],
    [
      "with a fixed of -1 bytes",
      withSchema('{"type":"fixed","name":"F","size":-1}'),
      "malformed",
      "not valid",
    ],
    ["with a union in a union", withSchema('["null",["int"]]'), "malformed", "not valid"],
    [
      "with a field without a name",
      withSchema('{"type":"record","name":"R","fields":[{"type":"int"}]}'),
      "malformed",
      "without a name",
    ],
    ["with a codec that nobody knows", withSchema('"int"', "lzo"), "unsupported_feature", "lzo"],
    ["with xz", withSchema('"int"', "xz"), "unsupported_feature", "xz"],
    [
      "with a codec that is no name",
      withSchema('"int"', "\n{evil}"),
      "unsupported_feature",
      "a name that is none",
    ],
    [
      "with a key of negative length",
      of("Obj\u0001", long(1), long(-5)),
      "malformed",
      "negative length",
    ],
    [
      "with a count of 2^62",
      of("Obj\u0001", long(2n ** 62n)),
      "record_too_large",
      "maxHeaderBytes",
    ],
    [
      "with a value of 2^62 bytes",
      of("Obj\u0001", long(1), text("k"), long(2n ** 62n)),
      "record_too_large",
      "maxHeaderBytes",
    ],
  ])("%s", async (_, bytes, code, message) => {
    const source = probe(chunked(bytes, 5));
    const parsing = parseAvro(wanted("a"))(source);
    await expect(parsing).rejects.toMatchObject({ stage: "parse", code });
    await expect(parsing).rejects.toThrow(message);
    await expect(parsing).rejects.toHaveProperty("coordinate.byteOffset");
    expect(source.pulled === 0 || source.closed).toBe(true);
  });

  test("in several parts with their sizes is read", async () => {
    const pairs = [join(text("avro.schema"), text('"int"')), join(text("x"), text("y"))];
    const parts = pairs.flatMap((pair) => [long(-1), long(pair.length), pair]);
    const bytes = of("Obj\u0001", ...parts, long(0), SYNC, long(1), long(1), long(4), SYNC);
    expect((await readAvro(bytes, wanted("value"))).rows).toEqual([["4"]]);
  });
});
