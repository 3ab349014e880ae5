import { describe, expect, test } from "vitest";
import type { ArchiveOptions } from "../src/index.ts";
import { type Contents, tarOutcome, zipOutcome } from "./archive-outcome.ts";
import { pax, type TarPart, writeTar } from "./tar-writer.ts";
import { writeZip } from "./zip-writer.ts";

const text = Buffer.from("id\n1\n");

/** A file or, with a name that ends so, a directory. */
const inTar = (name: string | Buffer): TarPart[] => [
  pax({ path: name }),
  {
    name: "x",
    type: String(name).endsWith("/") ? "5" : "0",
    ...(!String(name).endsWith("/") && { content: text }),
  },
];

const UTF8 = 0x800;

type Outcome = (
  names: readonly (string | Buffer)[],
  options?: ArchiveOptions,
) => Promise<Contents | string>;

const archives: readonly (readonly [string, Outcome])[] = [
  ["tar", (names, options) => tarOutcome(writeTar(names.flatMap(inTar)), options)],
  [
    "zip",
    (names, options) => {
      const parts = names.map((name) => ({
        name,
        flags: UTF8,
        ...(!String(name).endsWith("/") && { content: text }),
        method: 0,
      }));
      return zipOutcome(writeZip(parts), options);
    },
  ],
];

describe.each(archives)("names in a %s", (_, outcome) => {
  test.each([
    ["../../etc/passwd"],
    ["in/../../a.csv"],
    [".."],
    ["in/.."],
    ["/etc/passwd"],
    ["//server/share"],
    ["C:\\Windows\\a.csv"],
    ["C:/a.csv"],
    ["c:a.csv"],
    ["..\\a.csv"],
    ["in\\a.csv"],
    ["a.csv\0.exe"],
    ["."],
    ["./."],
  ])("%j is refused, wanted or not (FAULTS 2.6, S1)", async (name) => {
    expect(await outcome(["a.csv", name])).toBe("unsafe_entry");
    expect(await outcome([name], { wants: () => false })).toBe("unsafe_entry");
  });

  test.each([["../"], ["/in/"], ["in\\side/"], ["C:/"]])(
    "%j is refused for a directory too",
    async (name) => {
      expect(await outcome(["a.csv", name])).toBe("unsafe_entry");
    },
  );

  test("that are not UTF-8 are refused (FAULTS 2.6, S1)", async () => {
    const latin1 = Buffer.from("größe.csv", "latin1");
    // A pax header whose path is no text is broken as such.
    expect(["unsafe_entry", "corrupt"]).toContain(await outcome([latin1]));
    expect(await outcome(["größe.csv"])).toEqual([["größe.csv", text]]);
  });

  test("that only look odd are kept as they are", async () => {
    const names = [
      "..a",
      "a..",
      "...",
      "ab:c",
      "é/ü.csv",
      "日本.csv",
      "a b",
      "CON",
      "-rf",
      "a\nb",
      "__proto__",
    ];
    expect(await outcome(names)).toEqual(names.map((name) => [name, text]));
  });

  test("lose what names nothing: dots and doubled slashes", async () => {
    expect(await outcome(["./a.csv", "in//b.csv", "in/./c.csv"])).toEqual(
      ["a.csv", "in/b.csv", "in/c.csv"].map((name) => [name, text]),
    );
  });

  test("that stand twice are refused, however they are spelled (FAULTS 2.6, S1)", async () => {
    expect(await outcome(["a.csv", "b.csv", "a.csv"])).toBe("duplicate_entry");
    expect(await outcome(["in/a.csv", "./in//a.csv"])).toBe("duplicate_entry");
    expect(await outcome(["a.csv", "a.csv"], { wants: () => false })).toBe("duplicate_entry");
    expect(await outcome(["in/", "in/", "in/a.csv"])).toEqual([["in/a.csv", text]]);
  });

  test("that differ in case alone are two (FAULTS 2.6, S1)", async () => {
    expect(await outcome(["a.csv", "A.csv"])).toEqual([
      ["a.csv", text],
      ["A.csv", text],
    ]);
  });

  test("of macOS's companion files are passed over (FAULTS 2.6, S4)", async () => {
    const asked: string[] = [];
    const wants = (name: string): boolean => asked.push(name) > 0;
    const names = [
      "__MACOSX/",
      "__MACOSX/._a.csv",
      "a.csv",
      "in/",
      ".DS_Store",
      "in/.DS_Store",
      "in/._b.csv",
    ];
    expect(await outcome(names, { wants })).toEqual([["a.csv", text]]);
    expect(asked).toEqual(["a.csv"]);
  });

  test.each([
    ["nothing", []],
    ["only folders", ["in/", "in/side/"]],
    ["only companion files", ["__MACOSX/", "__MACOSX/._a", ".DS_Store"]],
  ])("of %s are an empty archive (FAULTS 2.6, S4)", async (_what, names) => {
    expect(await outcome(names)).toBe("empty_archive");
  });

  test("are asked for once each and in order; an archive of which nothing is wanted is not empty", async () => {
    const asked: string[] = [];
    const wants = (name: string): boolean => {
      asked.push(name);
      return name === "b.csv";
    };
    expect(await outcome(["c.csv", "./b.csv", "a.csv"], { wants })).toEqual([["b.csv", text]]);
    expect(asked).toEqual(["c.csv", "b.csv", "a.csv"]);
    expect(await outcome(["a.csv"], { wants: () => false })).toEqual([]);
  });
});

describe("kinds of entries", () => {
  test.each([
    ["a hard link", { type: "1", linkName: "a.csv" }],
    ["a symbolic link", { type: "2", linkName: "/etc/passwd" }],
    ["a character device", { type: "3" }],
    ["a block device", { type: "4" }],
    ["a named pipe", { type: "6" }],
    ["a file with a directory's name", { name: "in/", content: text }],
    ["an old file with a directory's name", { name: "in/", content: text, type: "\0" }],
    ["a directory with data", { name: "in/", content: text, type: "5" }],
  ])("in a tar: %s is refused, wanted or not (FAULTS 2.6, S1)", async (_, part) => {
    const archive = writeTar([
      { name: "a.csv", content: text },
      { name: "b", ...part },
    ]);
    expect(await tarOutcome(archive)).toBe("unsafe_entry");
    expect(await tarOutcome(archive, { wants: () => false })).toBe("unsafe_entry");
  });

  test.each([
    ["a symbolic link", { mode: 0o120777 }],
    ["a character device", { mode: 0o020666 }],
    ["a block device", { mode: 0o060666 }],
    ["an unknown kind", { mode: 0o170666 }],
    ["a directory with a file's name", { mode: 0o040755 }],
    ["a file with a directory's name", { name: "in/", mode: 0o100644, content: Buffer.alloc(0) }],
    ["a directory with data", { name: "in/" }],
  ])("in a zip: %s is refused, wanted or not (FAULTS 2.6, S1)", async (_, part) => {
    const archive = writeZip([
      { name: "a.csv", content: text },
      { name: "b", host: 3, content: text, ...part },
    ]);
    expect(await zipOutcome(archive)).toBe("unsafe_entry");
    expect(await zipOutcome(archive, { wants: () => false })).toBe("unsafe_entry");
  });

  test("in a zip: a file that was read from a pipe is a file", async () => {
    const archive = writeZip([{ name: "-", host: 3, mode: 0o010600, content: text }]);
    expect(await zipOutcome(archive)).toEqual([["-", text]]);
  });

  test("in a zip: the mode counts only where the writer's system has modes", async () => {
    const archive = writeZip([{ name: "a.csv", host: 0, mode: 0o120777, content: text }]);
    expect(await zipOutcome(archive)).toEqual([["a.csv", text]]);
  });
});

test("a refused name is quoted and cut where it is told", async () => {
  const name = `../\n${"x".repeat(900)}`;
  await expect(
    (async () => {
      const { contentsOf, zipFile } = await import("./archive-outcome.ts");
      const { openZip } = await import("../src/index.ts");
      await contentsOf(openZip(zipFile(writeZip([{ name, content: text }]))));
    })(),
  ).rejects.toMatchObject({ code: "unsafe_entry", seen: `"../\\n${"x".repeat(96)}"` });
});
