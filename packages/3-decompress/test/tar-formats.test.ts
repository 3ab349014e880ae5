import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tarOutcome } from "./archive-outcome.ts";
import { inFolder, isInstalled, needs, python, run } from "./archive-programs.ts";
import { pax, tarBody, tarHeader, withChecksum, writeTar } from "./tar-writer.ts";

const text = Buffer.from("id,name\n1,Zoë\n");
const long = `${"folder/".repeat(40)}Übersicht.csv`;

/** Files of many sizes around the block's, in folders, with long names and others than ASCII. */
const files: Readonly<Record<string, Buffer>> = {
  "empty.csv": Buffer.alloc(0),
  "one.csv": Buffer.from("x"),
  "block.csv": Buffer.alloc(512, "b"),
  "over.csv": Buffer.alloc(513, "o"),
  "in/side/größe.csv": text,
  [long]: text,
};

describe.skipIf(!isInstalled("tar"))(`what GNU tar writes${needs("tar")}`, () => {
  test.each(["v7", "oldgnu", "gnu", "ustar", "posix"])("in format %s is read", async (format) => {
    // v7 and ustar have no room for the long name.
    const names = Object.keys(files).filter((name) => name !== long || /gnu|posix/.test(format));
    const archive = inFolder((folder) => {
      for (const name of names) {
        mkdirSync(join(folder, name, ".."), { recursive: true });
        writeFileSync(join(folder, name), files[name] ?? "");
      }
      return run(folder, "tar", ["-c", "-f", "-", `--format=${format}`, ...names]);
    });
    const wanted = names.map((name) => [name, files[name]]);
    expect(await tarOutcome(archive)).toEqual(wanted);
    expect(await tarOutcome(archive, {}, 1)).toEqual(wanted);
  });

  test("of a whole folder has its names without the dot before them", async () => {
    const archive = inFolder((folder) => {
      mkdirSync(join(folder, "in"));
      writeFileSync(join(folder, "in", "a.csv"), text);
      return run(folder, "tar", ["-c", "."]);
    });
    expect(await tarOutcome(archive)).toEqual([["in/a.csv", text]]);
  });

  test("with links, pipes or holes is refused", async () => {
    const sealed = (prepare: (folder: string) => void, ...options: string[]): Buffer =>
      inFolder((folder) => {
        prepare(folder);
        return run(folder, "tar", ["-c", ...options, "."]);
      });
    expect(
      await tarOutcome(sealed((folder) => symlinkSync("/etc/passwd", join(folder, "l")))),
    ).toBe("unsafe_entry");
    const hard = sealed((folder) => {
      writeFileSync(join(folder, "a"), text);
      run(folder, "ln", ["a", "b"]);
    });
    expect(await tarOutcome(hard)).toBe("unsafe_entry");
    expect(await tarOutcome(sealed((folder) => run(folder, "mkfifo", ["pipe"])))).toBe(
      "unsafe_entry",
    );
    const holes = (folder: string): void => {
      run(folder, "truncate", ["-s", "1M", "holes.csv"]);
    };
    expect(await tarOutcome(sealed(holes, "--sparse", "--format=gnu"))).toBe("unsupported_method");
    for (const version of ["0.0", "0.1", "1.0"]) {
      const archive = sealed(holes, "--sparse", "--format=posix", `--sparse-version=${version}`);
      expect(await tarOutcome(archive), version).toBe("unsupported_method");
    }
  });
});

describe.skipIf(!isInstalled("python3"))(`what Python's tarfile writes${needs("python3")}`, () => {
  test.each(["USTAR_FORMAT", "GNU_FORMAT", "PAX_FORMAT"])("in %s is read", async (format) => {
    const names = Object.keys(files).filter((name) => name !== long || format !== "USTAR_FORMAT");
    const script = `
import io, json, sys, tarfile
files = json.loads(sys.argv[1])
out = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.${format})
for name, text in files.items():
    info = tarfile.TarInfo(name)
    info.size = len(text)
    info.uname = "Zoë"
    info.mtime = 1234567890.5
    out.addfile(info, io.BytesIO(text.encode("latin-1")))
out.close()`;
    const given = Object.fromEntries(names.map((name) => [name, files[name]?.toString("latin1")]));
    const archive = inFolder((folder) => python(folder, script, [JSON.stringify(given)]));
    expect(await tarOutcome(archive)).toEqual(names.map((name) => [name, files[name]]));
  });
});

describe("sizes", () => {
  const base256 = (hex: string): Buffer => Buffer.from(hex.padStart(24, "0"), "hex");

  test("in base 256 are read", async () => {
    const size = base256(
      "80000000000000000000000e".slice(0, 22) + text.byteLength.toString(16).padStart(2, "0"),
    );
    expect(await tarOutcome(writeTar([{ content: text, size, magic: "gnu" }]))).toEqual([
      ["a.csv", text],
    ]);
  });

  test("with spaces, without an end and with twelve digits are read", async () => {
    for (const field of [
      "         17 ",
      "00000000017 ",
      "000000000017",
      "17\0\0\0\0\0\0\0\0\0\0",
    ]) {
      const archive = writeTar([{ content: text, size: Buffer.from(field, "latin1") }]);
      expect(await tarOutcome(archive), field).toEqual([["a.csv", text]]);
    }
  });

  test.each([
    ["-1 in base 256", Buffer.alloc(12, 0xff), "corrupt"],
    ["-1 in octal", Buffer.from("-0000000001\0", "latin1"), "corrupt"],
    ["letters", Buffer.from("abcdefghijk\0", "latin1"), "corrupt"],
    ["2^63 in base 256", base256("80000000" + "8000000000000000"), "limit_exceeded"],
    [
      "2^94 in base 256",
      Buffer.concat([Buffer.from([0xbf]), Buffer.alloc(11, 0xff)]),
      "limit_exceeded",
    ],
  ])("%s are refused (FAULTS 2.6, B8)", async (_, size, code) => {
    expect(await tarOutcome(writeTar([{ content: text, size, magic: "gnu" }]))).toBe(code);
  });

  test("that a pax header and the header give differently are refused (FAULTS 2.6, B8)", async () => {
    const archive = (size: string): Buffer => writeTar([pax({ size }), { content: text }]);
    expect(text.byteLength).toBe(15);
    expect(await tarOutcome(archive("15"))).toEqual([["a.csv", text]]);
    for (const lie of ["14", "0", "1024", "8589934591"]) {
      expect(await tarOutcome(archive(lie)), lie).toBe("corrupt");
    }
    for (const broken of ["-1", "15x", "1e1", "0x0f", "", "15 "]) {
      expect(await tarOutcome(archive(broken)), broken).toBe("corrupt");
    }
  });

  test("over eight GiB stand in the pax header alone", async () => {
    const size = (2 ** 33).toString();
    const archive = writeTar([pax({ size }), { content: text, size: 0 }]);
    expect(await tarOutcome(archive)).toBe("truncated");
    expect(await tarOutcome(archive, { maxEntryBytes: 2 ** 33 - 1 })).toBe("limit_exceeded");
    const huge = writeTar([pax({ size: "9".repeat(40) }), { content: text, size: 0 }]);
    expect(await tarOutcome(huge)).toBe("limit_exceeded");
  });
});

describe("names", () => {
  test("are joined from ustar's prefix, and not from the bytes that GNU has there", async () => {
    expect(await tarOutcome(writeTar([{ prefix: "in/side", content: text }]))).toEqual([
      ["in/side/a.csv", text],
    ]);
    const block = tarHeader({ magic: "gnu" });
    block.write("00000000000\0", 345);
    const archive = Buffer.concat([withChecksum(block), Buffer.alloc(1024)]);
    expect(await tarOutcome(archive)).toEqual([["a.csv", Buffer.alloc(0)]]);
  });

  test("with a prefix in a GNU header are refused: some readers take it, some do not", async () => {
    const block = tarHeader({ magic: "gnu" });
    block.write("in/side", 345);
    const archive = Buffer.concat([withChecksum(block), Buffer.alloc(1024)]);
    expect(await tarOutcome(archive)).toBe("corrupt");
  });

  test("of a pax header count before the header's own, the last record of several", async () => {
    const twice = Buffer.concat(
      [pax({ path: "first.csv" }), pax({ path: "zwölf.csv" })].map(
        ({ content }) => content ?? Buffer.alloc(0),
      ),
    );
    const archive = writeTar([{ ...pax({}), content: twice }, { content: text }]);
    expect(await tarOutcome(archive)).toEqual([["zwölf.csv", text]]);
  });

  test("of two headers before one entry are refused: readers differ in which counts", async () => {
    const header = pax({ path: "b.csv" });
    const longName = { type: "L", content: Buffer.from("c.csv\0"), magic: "gnu" } as const;
    for (const headers of [
      [header, header],
      [longName, longName],
      [header, longName],
      [longName, header],
    ]) {
      expect(await tarOutcome(writeTar([...headers, { content: text }]))).toBe("corrupt");
    }
    expect(await tarOutcome(writeTar([pax({ mtime: "1" }), longName, { content: text }]))).toEqual([
      ["c.csv", text],
    ]);
  });

  test("of a global header are refused, and what else it says is passed over", async () => {
    const comment = pax({ comment: "f00d", mtime: "1500000000" }, "g");
    expect(await tarOutcome(writeTar([comment, { content: text }]))).toEqual([["a.csv", text]]);
    for (const records of [{ path: "other.csv" }, { size: "3" }, { "GNU.sparse.major": "1" }]) {
      expect(await tarOutcome(writeTar([pax(records, "g"), { content: text }]))).toBe(
        "unsafe_entry",
      );
    }
  });

  test.each([
    ["no length", "path=b.csv\n"],
    ["a length that is too long", "99 path=b.csv\n"],
    ["a length that is too short", "3 path=b.csv\n"],
    ["a length of 0", "0 path=b.csv\n"],
    ["no line's end", "14 path=b.csvX"],
    ["no equals sign", "10 path b\n"],
    ["no key", "8 =b.cs\n"],
    ["an empty path", "8 path=\n"],
    ["bytes behind", "14 path=b.csv\n\0"],
  ])("of a pax header with %s are refused", async (_, records) => {
    const archive = writeTar([{ ...pax({}), content: Buffer.from(records) }, { content: text }]);
    expect(await tarOutcome(archive)).toBe("corrupt");
  });
});

test("a type flag that nobody knows is refused by its name", async () => {
  for (const type of ["V", "M", "N", "A", "Z"]) {
    expect(await tarOutcome(writeTar([{ type }, { content: text }]))).toBe("unsupported_method");
  }
  expect(await tarOutcome(writeTar([{ type: "7", content: text }]))).toEqual([["a.csv", text]]);
  expect(await tarOutcome(writeTar([{ type: "\0", magic: "v7", content: text }]))).toEqual([
    ["a.csv", text],
  ]);
});

test("a checksum of signed bytes is taken, as old tars wrote it", async () => {
  const block = tarHeader({ name: "größe.csv" });
  const signed = [...block].map((byte, i) => (i >= 148 && i < 156 ? 0x20 : (byte << 24) >> 24));
  const sum = signed.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  const archive = Buffer.concat([block, Buffer.alloc(1024)]);
  expect(await tarOutcome(archive)).toEqual([["größe.csv", Buffer.alloc(0)]]);
});

test("directories of GNU's incremental archives are passed over with their lists", async () => {
  const directory = {
    type: "D",
    name: "in/",
    content: Buffer.from("Ya.csv\0\0"),
    magic: "gnu",
  } as const;
  expect(await tarOutcome(writeTar([directory, { content: text }]))).toEqual([["a.csv", text]]);
  expect(await tarOutcome(tarBody([directory]))).toBe("truncated");
});
