import { parseDelimited } from "@sluice/parse";
import type { DelimitedSettings } from "@sluice/schema";
import { type ByteBudget, createByteBudget } from "@sluice/streams";
import { stageContract } from "@sluice/streams/testing";
import { tableFromIPC } from "apache-arrow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type BatchOptions, batch } from "../src/index.ts";

const COMMA: DelimitedSettings = {
  kind: "delimited",
  delimiter: ",",
  quote: '"',
  escape: '"',
  headerRows: 1,
  skipRows: 0,
  nullText: "",
  encoding: "utf-8",
};

const sample = Buffer.from(
  `a,b\n${Array.from({ length: 40 }, (_, i) => (i % 9 === 4 ? `${i}\n` : `${i},"é\n${i}"\n`)).join("")}`,
);

/** A batch as values; that borders are part of it shows that they do not depend on the chunks. */
interface Read {
  readonly ordinal: number;
  readonly firstRow: number;
  readonly rows: readonly unknown[];
}

let budget: ByteBudget;
beforeEach(() => {
  // It holds one batch at a time: a batch that is not released keeps all after it waiting.
  budget = createByteBudget(1);
});
afterEach(() => expect(budget.used).toBe(0));

/** Bytes to batches through the parser, as a chain has them; each is released once it is read. */
function stageOf(
  options: Pick<BatchOptions, "maxRows" | "maxBytes">,
): (source: AsyncIterable<Uint8Array>) => AsyncIterable<Read> {
  return async function* (source) {
    const parsed = await parseDelimited(COMMA, { maxBlockRows: 2 })(source);
    for await (const { ordinal, firstRow, body, release } of batch({
      columns: [1, 0],
      budget,
      ...options,
    })(parsed)) {
      const rows = tableFromIPC(Buffer.concat(body))
        .toArray()
        .map((row): unknown => row?.toJSON());
      // Also when the reader stops here.
      try {
        yield { ordinal, firstRow, rows };
      } finally {
        release();
      }
    }
  };
}

// A limit that stops it there is none: a row over maxBytes goes alone, which the second contract has
// for every row.
const BORDERS = {
  "batch of three rows": { maxRows: 3 },
  "batch of rows over maxBytes": { maxBytes: 1 },
} as const;

for (const [name, options] of Object.entries(BORDERS)) {
  stageContract<Read>({
    name,
    stage: stageOf(options),
    sample,
    collect: (batches) => batches,
    empty: { output: [] },
  });
}

describe("the sample of the contract", () => {
  test.each([
    ["batch of three rows", [...Array.from({ length: 13 }, () => 3), 1]],
    ["batch of rows over maxBytes", Array.from({ length: 40 }, () => 1)],
  ] as const)("comes as one row for each record: %s", async (name, sizes) => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield sample;
    }
    const batches = await Array.fromAsync(stageOf(BORDERS[name])(source()));
    expect(batches.map(({ rows }) => rows.length)).toEqual(sizes);
    expect(batches.flatMap(({ rows }) => rows)).toMatchObject(
      Array.from({ length: 40 }, (_, i) => ({
        ...(i % 9 === 4
          ? { c0: null, c1: null, _fault_code: "malformed" }
          : { c0: String(i), c1: `é\n${i}`, _fault_code: null }),
        _row: BigInt(i + 1),
      })),
    );
  });
});
