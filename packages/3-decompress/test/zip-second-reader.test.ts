import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fromBufferPromise } from "yauzl";
import { parseDirectory } from "../src/zip/directory-record.ts";
import { assertSecondReading } from "../src/zip/second-reader.ts";
import { zipOutcome } from "./archive-outcome.ts";
import { inFolder, isInstalled, needs, python } from "./archive-programs.ts";
import { extraField, writeZip } from "./zip-writer.ts";

const names = ["a.csv", "größe.csv", "in/c.csv"];
const parts = names.map((name) => ({ name, flags: 0x800, content: Buffer.from(name.repeat(9)) }));
const zip = writeZip(parts);
const start = zip.readUInt32LE(zip.byteLength - 6);
const records = parseDirectory({ start, bytes: zip.subarray(start, -22) }, 3);
const tail = { start: 0, bytes: zip };

describe("node-stream-zip, the second reader", () => {
  test("sees the same entries in a sound zip", async () => {
    await expect(assertSecondReading(tail, records)).resolves.toBeUndefined();
  });

  test.each([
    ["name", { rawName: Buffer.from("b.csv") }],
    ["flags", { flags: 0 }],
    ["method", { method: 0 }],
    ["CRC-32", { crc: 1 }],
    ["compressed size", { compressedSize: 1 }],
    ["size", { size: 1 }],
    ["offset", { localOffset: 1 }],
  ])("refuses a zip of which the first reader sees another %s", async (_, lie) => {
    const [first, ...rest] = records;
    const other = [{ ...(first as (typeof records)[0]), ...lie }, ...rest];
    await expect(assertSecondReading(tail, other)).rejects.toMatchObject({ code: "corrupt" });
    await expect(assertSecondReading(tail, other)).rejects.toThrow("see two contents");
  });

  test("refuses a zip of which the first reader sees more entries, or fewer", async () => {
    await expect(assertSecondReading(tail, records.slice(1))).rejects.toMatchObject({
      code: "corrupt",
    });
    await expect(assertSecondReading(tail, records.slice(0, 2))).rejects.toMatchObject({
      code: "corrupt",
    });
    const more = [...records, ...records.slice(2)];
    await expect(assertSecondReading(tail, more)).rejects.toMatchObject({ code: "corrupt" });
  });

  test("has its say on every zip: a record too long for its window is refused, though the first can read it", async () => {
    const archive = (length: number): Buffer => {
      const extra = extraField(0x9999, Buffer.alloc(length - 4));
      return writeZip([{ name: "a.csv", central: { extra, comment: Buffer.alloc(0xffff) } }]);
    };
    expect(await zipOutcome(archive(0xffff - 100))).toEqual([["a.csv", Buffer.alloc(0)]]);
    expect(await zipOutcome(archive(0xffff))).toBe("corrupt");
  });

  test("that is led outside of the directory, or in circles, is stopped", async () => {
    // Locators that point to the front made it search the file from its end, in memory: here there is no more than the tail.
    const far = writeZip(parts, { isZip64: true, locatorOffset: 5 });
    const only = far.subarray(-200);
    const lost = { start: 2 ** 40, bytes: only };
    await expect(assertSecondReading(lost, records)).rejects.toMatchObject({ code: "corrupt" });
    const negative = writeZip(parts, { isZip64: true, locatorOffset: 2 ** 50 });
    await expect(assertSecondReading({ start: 0, bytes: negative }, records)).rejects.toMatchObject(
      { code: "corrupt" },
    );
    const behind = writeZip(parts, { start: 2 ** 31 });
    await expect(assertSecondReading({ start: 0, bytes: behind }, records)).rejects.toMatchObject({
      code: "corrupt",
    });
  });

  test("ends with a code for each of 2,000 damaged directories, and never by another way", async () => {
    const outcomes = new Map<string, number>();
    for (let seed = 0; seed < 2000; seed++) {
      const damaged = Buffer.from(writeZip(parts, { isZip64: seed % 2 === 0 }));
      const from = start;
      for (let i = 0; i < 1 + (seed % 4); i++) {
        const at = from + ((seed * 7919 + i * 104_729) % (damaged.byteLength - from));
        damaged.writeUInt8((seed * 31 + i * 17) & 0xff, at);
      }
      const outcome = await assertSecondReading({ start: 0, bytes: damaged }, records).then(
        () => "same",
        (error: { code?: string }) => error.code ?? String(error),
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect([...outcomes.keys()].sort()).toEqual(["corrupt", "same"]);
  });
});

/** What a third reader makes of a zip: names and contents, or an error. */
async function byYauzl(bytes: Buffer): Promise<[string, Buffer][]> {
  const file = await fromBufferPromise(bytes);
  const entries: [string, Buffer][] = [];
  for await (const entry of file.eachEntry()) {
    const chunks: Buffer[] = [];
    for await (const chunk of await file.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
    entries.push([entry.fileName, Buffer.concat(chunks)]);
  }
  return entries;
}

describe("a damaged zip that is opened all the same", () => {
  const whole = writeZip([
    { name: "a.csv", content: Buffer.from("id,name\n1,Ada\n".repeat(5)) },
    { name: "in/b.csv", content: Buffer.from("id\n7\n"), method: 0, descriptor: 16 },
  ]);
  const damaged = Array.from({ length: 1500 }, (_, seed) => {
    const bytes = Buffer.from(whole);
    const bit = (seed * 2_654_435_761) % (bytes.byteLength * 8);
    bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    return bytes;
  });

  test("is to yauzl what it is here", async () => {
    let opened = 0;
    for (const bytes of damaged) {
      const ours = await zipOutcome(bytes);
      if (typeof ours === "string") continue;
      expect(await byYauzl(bytes)).toEqual(ours);
      opened++;
    }
    expect(opened).toBeGreaterThan(100);
  });

  test.skipIf(!isInstalled("python3"))(
    `is to Python what it is here${needs("python3")}`,
    async () => {
      const script = `
import json, zipfile
out = []
for i in range(${damaged.length}):
    try:
        z = zipfile.ZipFile(f"{i}.zip")
        out.append([[n, z.read(n).decode("latin-1")] for n in z.namelist()])
    except Exception as e:
        out.append(str(e))
print(json.dumps(out))`;
      const theirs = inFolder((folder) => {
        for (const [i, bytes] of damaged.entries()) writeFileSync(join(folder, `${i}.zip`), bytes);
        return JSON.parse(python(folder, script).toString());
      });
      const differences = new Set<string>();
      let opened = 0;
      for (const [i, bytes] of damaged.entries()) {
        const ours = await zipOutcome(bytes);
        if (typeof ours === "string") continue;
        opened++;
        const here = ours.map(([name, content]) => [name, content.toString("latin1")]);
        // Python refuses what is written for a later version than it knows.
        if (typeof theirs[i] === "string") differences.add(theirs[i].replace(/[0-9.]+/, "n"));
        else expect(theirs[i]).toEqual(here);
      }
      expect(opened).toBeGreaterThan(100);
      expect([...differences]).toEqual(["zip file version n"]);
    },
  );
});
