import { gzipSync } from "node:zlib";
import { stageContract } from "@sluice/streams/testing";
import { decompress } from "../src/index.ts";

const text = Buffer.from(
  Array.from({ length: 2000 }, (_, i) => `${i},${(i * 7919) % 10007},row\n`).join(""),
);
const collect = (chunks: Uint8Array[]): Buffer => Buffer.concat(chunks);

stageContract<Uint8Array>({
  name: "decompress gzip",
  stage: decompress({ compression: "gzip" }),
  sample: gzipSync(text),
  collect,
  empty: { code: "not_this_container" },
  limited: {
    stage: decompress({ compression: "gzip", maxOutputBytes: text.byteLength - 1 }),
    code: "limit_exceeded",
  },
});

for (const compression of ["auto", "none"] as const) {
  stageContract<Uint8Array>({
    name: `decompress ${compression} over plain bytes`,
    stage: decompress({ compression }),
    sample: text,
    collect,
    empty: { output: Buffer.alloc(0) },
    limited: {
      stage: decompress({ compression, maxOutputBytes: text.byteLength - 1 }),
      code: "limit_exceeded",
    },
  });
}
