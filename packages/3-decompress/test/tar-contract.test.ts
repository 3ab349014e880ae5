import type { Transform } from "@sluice/streams";
import { stageContract } from "@sluice/streams/testing";
import { type ArchiveOptions, unarchiveTar } from "../src/index.ts";
import { writeTar } from "./tar-writer.ts";

/** The stage with its entries laid end to end, each behind its name. */
const entriesInLine = (options: ArchiveOptions = {}): Transform<Uint8Array, Uint8Array> =>
  async function* (source) {
    for await (const { name, bytes } of unarchiveTar(options)(source)) {
      yield Buffer.from(`\n${name}:`);
      yield* bytes;
    }
  };

const rows = Buffer.from(
  Array.from({ length: 300 }, (_, i) => `${i},${(i * 7919) % 10007}\n`).join(""),
);

stageContract<Uint8Array>({
  name: "unarchiveTar",
  stage: entriesInLine(),
  sample: writeTar([
    { name: "a.csv", content: rows },
    { name: "in/", type: "5" },
    { name: "in/b.csv", content: rows.subarray(0, 1024) },
  ]),
  collect: (chunks) => Buffer.concat(chunks),
  empty: { code: "not_this_container" },
  limited: {
    stage: entriesInLine({ maxOutputBytes: rows.byteLength + 1023 }),
    code: "limit_exceeded",
  },
});
