import { describe, expect, test } from "vitest";
import { containerOf, describeBytes } from "../src/index.ts";

const tar = Buffer.alloc(512);
tar.write("ustar", 257);
const samples: readonly (readonly [string, Buffer])[] = [
  ["zip", Buffer.from("PK\x03\x04\x14\0\0\0", "latin1")],
  ["tar", tar],
  ["zstd", Buffer.from("28b52ffd2400", "hex")],
  ["bzip2", Buffer.from("BZh91AY&SY....", "latin1")],
  ["xz", Buffer.from("fd377a585a0000", "hex")],
];

describe("sniffing", () => {
  test.each(samples)("recognises %s", (name, bytes) => {
    expect(containerOf(bytes)).toBe(name);
  });

  test.each([
    ["text", Buffer.from("id;name\r\n1;Zoë\n")],
    ["text", Buffer.from("BZh9 is a licence plate\n")],
    ["text", Buffer.from("PK,name\n1,x\n")],
    ["Parquet", Buffer.from("PAR1\x15\x04", "latin1")],
    ["an OpenPGP message", Buffer.from("-----BEGIN PGP MESSAGE-----\n")],
    ["binary data of an unknown kind", Buffer.from([1, 2, 3, 0])],
    ["nothing: the file is empty", Buffer.alloc(0)],
  ])("describes %s and takes it for no container", (words, bytes) => {
    expect(containerOf(bytes)).toBeUndefined();
    expect(describeBytes(bytes)).toBe(words);
  });
});
