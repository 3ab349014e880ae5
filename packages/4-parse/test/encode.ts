import type { TextEncoding } from "@sluice/schema";

const HIGH = new TextDecoder("windows-1252").decode(
  Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i),
);

/** A text as bytes of an encoding that has all its characters. The table of Windows-1252 is the platform's. */
export function encode(text: string, encoding: TextEncoding): Buffer {
  switch (encoding) {
    case "utf-8":
      return Buffer.from(text);
    case "utf-16le":
      return Buffer.from(text, "utf16le");
    case "utf-16be":
      return Buffer.from(text, "utf16le").swap16();
    case "latin-1":
      return Buffer.from(text, "latin1");
    case "windows-1252":
      return Buffer.from(
        Array.from(text, (character) => {
          const high = HIGH.indexOf(character);
          return high < 0 ? character.charCodeAt(0) : 0x80 + high;
        }),
      );
  }
}
