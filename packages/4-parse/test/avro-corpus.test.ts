import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type AvroTable, fieldsOf, readAvro } from "./avro-file.ts";

const root = fileURLToPath(new URL("../../../../shared/corpora/", import.meta.url));
const present = existsSync(`${root}avro-apache`);
const APACHE = "avro-apache/share/test";
const found = present ? globSync("avro-*/**/*.{avro,avro12,raw,bin}", { cwd: root }).sort() : [];

const bytesOf = (name: string): Buffer => readFileSync(root + name);
async function tableOf(bytes: Uint8Array): Promise<AvroTable> {
  return await readAvro(bytes, await fieldsOf(bytes));
}

/** Every file of the corpora: its rows, or the code and what the bytes are instead. */
const FILES: Readonly<Record<string, number | readonly [code: string, seen: string]>> = {
  [`${APACHE}/data/messageV1/test_message.bin`]: ["malformed", "an Avro single-object message"],
  [`${APACHE}/data/schemas/simple/data.avro`]: 3,
  [`${APACHE}/data/schemas/withUnion/data.avro`]: 3,
  [`${APACHE}/data/syncInMeta.avro`]: 6001,
  [`${APACHE}/data/test.avro12`]: ["unsupported_feature", "Avro container version 0"],
  [`${APACHE}/data/weather-deflate.avro`]: 5,
  [`${APACHE}/data/weather-snappy.avro`]: 5,
  [`${APACHE}/data/weather-sorted.avro`]: 5,
  [`${APACHE}/data/weather-zstd.avro`]: 5,
  [`${APACHE}/data/weather.avro`]: 5,
  [`${APACHE}/interop/rpc/add/onePlusOne/request.avro`]: 1,
  [`${APACHE}/interop/rpc/add/onePlusOne/response.avro`]: 1,
  [`${APACHE}/interop/rpc/echo/foo/request.avro`]: 1,
  [`${APACHE}/interop/rpc/echo/foo/response.avro`]: 1,
  [`${APACHE}/interop/rpc/hello/world/request.avro`]: 1,
  [`${APACHE}/interop/rpc/hello/world/response.avro`]: 1,
};
for (const folder of ["avro-apache/lang/js/test/dat", "avro-avsc/dat"]) {
  Object.assign(FILES, {
    [`${folder}/person-10.avro`]: 10,
    [`${folder}/person-10.avro.raw`]: ["malformed", "other bytes"],
    [`${folder}/person-10.no-codec.avro`]: 10,
  });
}

describe.skipIf(!present)(
  `the Avro corpora${present ? "" : " (absent: ../shared/corpora)"}`,
  () => {
    test("are read whole: the list below leaves no file out", () => {
      expect(found).toEqual(Object.keys(FILES).sort());
    });

    test.each(Object.entries(FILES))("%s: %j", async (name, truth) => {
      const read = tableOf(bytesOf(name));
      if (typeof truth === "number") expect((await read).rows).toHaveLength(truth);
      else await expect(read).rejects.toMatchObject({ code: truth[0], seen: truth[1] });
    });

    test("give the same rows under every codec, and those of the JSON twin", async () => {
      const lines = bytesOf(`${APACHE}/data/weather.json`).toString().trim().split("\n");
      const truth = lines.map((line) => Object.values(JSON.parse(line)).map(String));
      const ours = readFileSync(new URL("avro-weather-bzip2.avro", import.meta.url));
      const twins = ["weather", "weather-deflate", "weather-snappy", "weather-zstd"];
      const files = [...twins.map((name) => bytesOf(`${APACHE}/data/${name}.avro`)), ours];
      for (const bytes of files) expect((await tableOf(bytes)).rows).toEqual(truth);
      const sorted = await tableOf(bytesOf(`${APACHE}/data/weather-sorted.avro`));
      expect([...sorted.rows].sort()).toEqual([...truth].sort());
    });

    // The file without a codec ends in a line feed that an editor put there.
    test("give the same rows with and without avro.codec, and tell of a line end behind the last block", async () => {
      const twin = await tableOf(bytesOf("avro-avsc/dat/person-10.avro"));
      const other = await tableOf(bytesOf("avro-avsc/dat/person-10.no-codec.avro"));
      expect(other.rows).toEqual(twin.rows);
      expect(other.rows[0]).toEqual(["r", "906", "MALE", '{"zipcode":631}']);
      expect(twin.warnings).toEqual([]);
      expect(other.warnings).toEqual(["a line end stands behind the last block"]);
    });

    test("are refused when cut, at every byte that is not the border of a block", async () => {
      for (const [name, truth] of Object.entries(FILES)) {
        const bytes = bytesOf(name);
        if (typeof truth !== "number" || bytes.length > 1000) continue;
        const fields = await fieldsOf(bytes);
        const whole: number[] = [];
        for (let length = 0; length < bytes.length; length++) {
          const read = readAvro(bytes.subarray(0, length), fields, {}, 512);
          await read.then(
            () => whole.push(length),
            (error) => expect(error).toMatchObject({ stage: "parse", code: "malformed" }),
          );
        }
        // Each of these has one block: behind the header, and behind the block where a line feed follows it.
        const isTwin = name.endsWith("no-codec.avro");
        expect(whole).toEqual([whole[0], ...(isTwin ? [bytes.length - 1] : [])]);
      }
    });
  },
);
