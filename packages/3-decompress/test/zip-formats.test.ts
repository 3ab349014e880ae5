import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { zipOutcome } from "./archive-outcome.ts";
import { inFolder, isInstalled, needs, python, run } from "./archive-programs.ts";
import { extraField, uint64s, writeZip } from "./zip-writer.ts";

const text = Buffer.from("id,name\n1,Zoë\n".repeat(50));

const files: Readonly<Record<string, Buffer>> = {
  "empty.csv": Buffer.alloc(0),
  "one.csv": Buffer.from("x"),
  "in/side/größe.csv": text,
  "zeros.bin": Buffer.alloc(300_000),
};
const wanted = Object.entries(files);

describe.skipIf(!isInstalled("zip"))(`what Info-ZIP writes${needs("zip")}`, () => {
  const names = Object.keys(files);
  const zipped = (...args: string[]): Buffer =>
    inFolder((folder) => {
      for (const name of names) {
        mkdirSync(join(folder, name, ".."), { recursive: true });
        writeFileSync(join(folder, name), files[name] ?? "");
      }
      run(folder, "zip", ["-q", "out.zip", ...args]);
      return readFileSync(join(folder, "out.zip"));
    });

  test.each([
    ["deflated", []],
    ["stored", ["-0"]],
    ["with zip64 forced", ["-fz"]],
    ["with data descriptors", ["-fd"]],
    ["without extra fields", ["-X"]],
    ["with all extra fields and UTF-8", ["-UN=UTF8"]],
  ])("%s is read", async (_, options) => {
    const archive = zipped(...options, ...names);
    expect(await zipOutcome(archive)).toEqual(wanted);
    expect(await zipOutcome(archive, {}, 1)).toEqual(wanted);
  });

  test("with directories, a comment and appended entries is read", async () => {
    const archive = inFolder((folder) => {
      mkdirSync(join(folder, "in"));
      writeFileSync(join(folder, "in", "a.csv"), text);
      writeFileSync(join(folder, "b.csv"), "b");
      run(folder, "zip", ["-q", "-r", "out.zip", "in"]);
      run(folder, "zip", ["-q", "out.zip", "b.csv"]);
      run(folder, "zip", ["-q", "-z", "out.zip"], Buffer.from("made on a Monday\n"));
      return readFileSync(join(folder, "out.zip"));
    });
    expect(await zipOutcome(archive)).toEqual([
      ["in/a.csv", text],
      ["b.csv", Buffer.from("b")],
    ]);
  });

  test("as a stream is read", async () => {
    const archive = inFolder((folder) => {
      writeFileSync(join(folder, "a.csv"), text);
      return run(folder, "/bin/sh", ["-c", "zip -q - a.csv | cat; cat a.csv | zip -q piped.zip -"]);
    });
    expect(await zipOutcome(archive)).toEqual([["a.csv", text]]);
    const piped = inFolder((folder) => run(folder, "/bin/sh", ["-c", "zip -q - - | cat"], text));
    expect(await zipOutcome(piped)).toEqual([["-", text]]);
  });

  test("with a password is refused by name", async () => {
    const archive = zipped("-P", "secret", ...names);
    expect(await zipOutcome(archive)).toBe("entry_encrypted");
  });

  test("with a symbolic link is refused", async () => {
    const archive = inFolder((folder) => {
      run(folder, "ln", ["-s", "/etc/passwd", "link"]);
      run(folder, "zip", ["-q", "-y", "out.zip", "link"]);
      return readFileSync(join(folder, "out.zip"));
    });
    expect(await zipOutcome(archive)).toBe("unsafe_entry");
  });

  test("in several parts is refused", async () => {
    const last = inFolder((folder) => {
      // Bytes that do not compress, so that there are three parts.
      run(folder, "/bin/sh", ["-c", "head -c 160000 /dev/urandom > r.bin"]);
      run(folder, "zip", ["-q", "-s", "64k", "out.zip", "r.bin"]);
      return readFileSync(join(folder, "out.zip"));
    });
    expect(await zipOutcome(last)).toBe("unsupported_method");
  });

  test("in bzip2 is refused by the method's name", async () => {
    const archive = zipped("-Z", "bzip2", "zeros.bin");
    expect(await zipOutcome(archive)).toBe("unsupported_method");
  });
});

describe.skipIf(!isInstalled("python3"))(`what Python's zipfile writes${needs("python3")}`, () => {
  const script = (options: string, entry = ""): string => `
import io, json, sys, zipfile
files = json.load(sys.stdin)
class Pipe(io.RawIOBase):
    def writable(self): return True
    def write(self, b): return sys.stdout.buffer.write(b)
out = zipfile.ZipFile(${options})
for name, text in files.items():
    with out.open(name, "w"${entry}) as file:
        file.write(text.encode("latin-1"))
out.close()`;
  const given = Buffer.from(
    JSON.stringify(
      Object.fromEntries(wanted.map(([name, content]) => [name, content.toString("latin1")])),
    ),
  );

  test.each([
    ["deflated, to a pipe", `Pipe(), "w", zipfile.ZIP_DEFLATED`, ""],
    ["stored, to a pipe", `Pipe(), "w", zipfile.ZIP_STORED`, ""],
    ["with zip64 forced, to a pipe", `Pipe(), "w", zipfile.ZIP_DEFLATED`, ", force_zip64=True"],
  ])("%s is read", async (_, options, entry) => {
    const archive = inFolder((folder) => python(folder, script(options, entry), [], given));
    expect(await zipOutcome(archive)).toEqual(wanted);
  });

  test.each([
    ["LZMA", "LZMA"],
    ["BZIP2", "bzip2"],
  ])("in %s is refused by the method's name", async (method, seen) => {
    const archive = inFolder((folder) =>
      python(folder, script(`Pipe(), "w", zipfile.ZIP_${method}`), [], given),
    );
    expect(await zipOutcome(archive)).toBe("unsupported_method");
    const { contentsOf, zipFile } = await import("./archive-outcome.ts");
    const { openZip } = await import("../src/index.ts");
    await expect(contentsOf(openZip(zipFile(archive)))).rejects.toThrow(`compressed with ${seen}`);
  });
});

describe("names", () => {
  const named = (part: Partial<Parameters<typeof writeZip>[0][0]>): Promise<unknown> =>
    zipOutcome(writeZip([{ name: "x", content: text, ...part }])).then((seen) =>
      typeof seen === "string" ? seen : seen[0]?.[0],
    );
  const cp437 = Buffer.from([0x67, 0x72, 0x94, 0xe1, 0x65]);
  const unicodePath = (raw: Buffer, path: string, crc = crc32(raw), version = 1): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt8(version, 0);
    head.writeUInt32LE(crc, 1);
    return extraField(0x7075, Buffer.concat([head, Buffer.from(path)]));
  };

  test("without a flag are CP437, and UTF-8 from Unix and macOS", async () => {
    expect(await named({ name: cp437 })).toBe("größe");
    expect(await named({ name: cp437, host: 3 })).toBe("größe");
    expect(await named({ name: "größe", host: 3 })).toBe("größe");
    expect(await named({ name: "größe", host: 19 })).toBe("größe");
    expect(await named({ name: "größe", host: 0 })).toBe("gr├╢├ƒe");
  });

  test("with the flag are UTF-8, or refused", async () => {
    expect(await named({ name: "größe", flags: 0x800 })).toBe("größe");
    expect(await named({ name: cp437, flags: 0x800 })).toBe("unsafe_entry");
  });

  test("in all of CP437 are what Python reads", async () => {
    const raw = Buffer.from(Array.from({ length: 128 }, (_, i) => 128 + i));
    const archive = writeZip([{ name: raw, content: text }]);
    const seen = await named({ name: raw });
    if (!isInstalled("python3")) return;
    const names = inFolder((folder) => {
      writeFileSync(join(folder, "a.zip"), archive);
      return python(
        folder,
        `import json, zipfile; print(json.dumps(zipfile.ZipFile("a.zip").namelist()))`,
      );
    });
    expect([seen]).toEqual(JSON.parse(names.toString()));
  });

  test("of the Unicode path field count, if it belongs to the name", async () => {
    const path = "größe.csv";
    const raw = Buffer.from("gr__e.csv");
    expect(await named({ name: raw, extra: unicodePath(raw, path) })).toBe(path);
    expect(
      await named({ name: path, flags: 0x800, extra: unicodePath(Buffer.from(path), path) }),
    ).toBe(path);
    expect(await named({ name: raw, extra: unicodePath(raw, path, 1) })).toBe("corrupt");
    expect(await named({ name: raw, extra: unicodePath(raw, path, crc32(raw), 2) })).toBe(
      "corrupt",
    );
    expect(await named({ name: raw, extra: extraField(0x7075, Buffer.from([1])) })).toBe("corrupt");
    expect(await named({ name: raw, flags: 0x800, extra: unicodePath(raw, path) })).toBe("corrupt");
    const twice = Buffer.concat([unicodePath(raw, path), unicodePath(raw, "other.csv")]);
    expect(await named({ name: raw, extra: twice })).toBe("corrupt");
  });

  test("are safe in both spellings", async () => {
    const raw = Buffer.from("../a.csv");
    expect(await named({ name: raw, extra: unicodePath(raw, "a.csv") })).toBe("unsafe_entry");
    const safe = Buffer.from("a.csv");
    expect(await named({ name: safe, extra: unicodePath(safe, "../a.csv") })).toBe("unsafe_entry");
    const folder = Buffer.from("a.csv");
    expect(
      await named({ name: folder, content: Buffer.alloc(0), extra: unicodePath(folder, "a/") }),
    ).not.toBe("a/");
  });
});

describe("sizes", () => {
  test.each([0, 12, 16, 20, 24])(
    "before or behind the data (descriptor of %i bytes) are read",
    async (descriptor) => {
      for (const isZip64 of [false, true]) {
        const archive = writeZip(
          [
            { name: "a.csv", content: text, descriptor, isZip64 },
            { name: "b.csv", content: text, descriptor, isZip64, method: 0 },
          ],
          { isZip64 },
        );
        expect(await zipOutcome(archive)).toEqual([
          ["a.csv", text],
          ["b.csv", text],
        ]);
      }
    },
  );

  test("behind a folder may be promised and left out", async () => {
    const flags = { local: { flags: 8 }, central: { flags: 8 } };
    const archive = writeZip([
      { name: "in/", method: 0, ...flags },
      { name: "in/a.csv", content: text, descriptor: 16 },
    ]);
    expect(await zipOutcome(archive)).toEqual([["in/a.csv", text]]);
  });

  test("in a zip64 field beside the same sizes in the header are read, others refused", async () => {
    const size = text.byteLength;
    const part = { name: "a.csv", content: text, method: 0 };
    const same = extraField(1, uint64s(size, size));
    expect(await zipOutcome(writeZip([{ ...part, extra: same }]))).toEqual([["a.csv", text]]);
    const other = extraField(1, uint64s(size, size + 1));
    expect(await zipOutcome(writeZip([{ ...part, extra: other }]))).toBe("corrupt");
  });
});

test("a comment of any length is passed over, also behind zip64's end records", async () => {
  for (const isZip64 of [false, true]) {
    for (const length of [1, 21, 22, 1000, 20_000, 65_535]) {
      const archive = writeZip([{ name: "a.csv", content: text }], {
        isZip64,
        comment: Buffer.alloc(length, "."),
      });
      expect(await zipOutcome(archive), `${length}`).toEqual([["a.csv", text]]);
    }
  }
});

test("entries come in the directory's order, wherever they lie", async () => {
  const archive = writeZip(["a", "b", "c"].map((name) => ({ name, content: Buffer.from(name) })));
  const start = archive.readUInt32LE(archive.byteLength - 6);
  const records = [0, 1, 2].map((i) => archive.subarray(start + 47 * i, start + 47 * (i + 1)));
  const turned = Buffer.concat([
    archive.subarray(0, start),
    ...records.toReversed(),
    archive.subarray(start + 141),
  ]);
  expect(await zipOutcome(turned)).toEqual(
    ["c", "b", "a"].map((name) => [name, Buffer.from(name)]),
  );
});
