import type { Block, ParsedEntry, RowFault } from "@sluice/schema";

/** A record as a test writes it: a value per column, or the fault that stands in their place. */
export type Row = readonly (string | null)[] | { readonly fault: string };

/** Rows as blocks of at most `size` rows, as a parser would give them. */
export function toEntry(rows: readonly Row[], width: number, size: number): ParsedEntry {
  return {
    columns: Array.from({ length: width }, (_, i) => ({
      name: `n${i}`,
      type: "Nullable(String)",
    })),
    blocks: (async function* () {
      for (let at = 0; at < rows.length; at += size)
        yield toBlock(rows.slice(at, at + size), width, at);
    })(),
  };
}

/** Where a row begins, by its index from 0: beyond 32 bits, as in a large file. */
export const offsetOf = (index: number): number => 2 ** 33 + index * 10;

function toBlock(rows: readonly Row[], width: number, before: number): Block {
  const faults: RowFault[] = [];
  for (const [index, row] of rows.entries()) {
    if ("fault" in row) {
      faults.push({
        index,
        code: "malformed",
        message: row.fault,
        raw: Buffer.from(`<${row.fault}>`),
      });
    }
  }
  return {
    rows: rows.length,
    firstRow: before + 1,
    columns: Array.from({ length: width }, (_, column) => {
      const values = rows.map((row) => ("fault" in row ? null : (row[column] ?? null)));
      const parts = values.map((value) => Buffer.from(value ?? ""));
      const offsets = new Int32Array(rows.length + 1);
      for (const [i, part] of parts.entries()) offsets[i + 1] = (offsets[i] ?? 0) + part.length;
      const nullCount = values.filter((value) => value === null).length;
      const validity = new Uint8Array(Math.ceil(rows.length / 8));
      for (const [i, value] of values.entries()) {
        if (value !== null) validity[i >> 3] = (validity[i >> 3] ?? 0) | (1 << (i & 7));
      }
      return {
        offsets,
        data: Buffer.concat(parts),
        validity: nullCount === 0 ? undefined : validity,
        nullCount,
      };
    }),
    byteOffsets: Float64Array.from(rows, (_, index) => offsetOf(before + index)),
    faults,
  };
}
