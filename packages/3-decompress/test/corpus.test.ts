import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { outcome } from "./bytes-of.ts";

const corpus = fileURLToPath(new URL("../../../../shared/corpora/go-stdlib/", import.meta.url));
const present = existsSync(corpus);

describe.skipIf(!present)(
  `go-stdlib gzip files${present ? "" : " (corpus absent: skipped)"}`,
  () => {
    test("encoding/json's code.json.gz opens as the JSON that it is", async () => {
      const content = await outcome(readFileSync(`${corpus}encoding-json/code.json.gz`), {
        compression: "gzip",
      });
      expect(Object.keys(JSON.parse(content.toString()))).toContain("tree");
    });

    // Go's issue 6550: a damaged file on which its reader once did not end.
    test("issue6550 ends with a code", async () => {
      const file = readFileSync(`${corpus}compress-gzip/issue6550.gz.base64`, "latin1");
      expect(await outcome(Buffer.from(file, "base64"), { compression: "gzip" })).toBe("corrupt");
    });
  },
);
