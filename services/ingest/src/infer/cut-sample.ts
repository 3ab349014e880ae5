import type { Trial } from "@sluice/infer";
import { parseDelimited } from "@sluice/parse";
import type { DelimitedSettings } from "@sluice/schema";
import type { StageLimits } from "../limits.ts";
import { ENOUGH } from "../preview/enough.ts";
import type { PlainHead } from "./infer-format.ts";

const MAX_ROWS = 500;
const BLOCK_ROWS = 20;

/** Cuts a head by a load's own parser, its first record taken for one of data; undefined where it cannot be cut. */
export async function cutSample(
  { bytes, isWhole }: PlainHead,
  settings: Omit<DelimitedSettings, "kind" | "headerRows">,
  limits: StageLimits,
): Promise<Trial | undefined> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield bytes;
    // Where a head ends no record has to.
    if (!isWhole) throw ENOUGH;
  }
  const rows: (string | null)[][] = [];
  let faults = 0;
  const decoder = new TextDecoder();
  try {
    const parsed = await parseDelimited(
      { ...settings, kind: "delimited", headerRows: 0 },
      { ...limits.delimited, maxBlockRows: BLOCK_ROWS },
    )(pieces());
    for await (const block of parsed.blocks) {
      const broken = new Set(block.faults.map(({ index }) => index));
      faults += broken.size;
      for (let row = 0; row < block.rows; row++) {
        if (broken.has(row)) continue;
        rows.push(
          block.columns.map(({ offsets, data, validity }) => {
            const isNull =
              validity !== undefined && ((validity[row >> 3] ?? 0) & (1 << (row & 7))) === 0;
            return isNull ? null : decoder.decode(data.subarray(offsets[row], offsets[row + 1]));
          }),
        );
      }
      if (rows.length + faults >= MAX_ROWS) break;
    }
  } catch {
    // The head's end, or a record that breaks the file under these marks: what came before it counts, and a dialect
    // that cuts nothing at all is none.
  }
  return rows.length + faults === 0 ? undefined : { rows, faults };
}
