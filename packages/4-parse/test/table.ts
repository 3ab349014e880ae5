import type { Block, DelimitedSettings, ParsedEntry } from "@sluice/schema";

export const COMMA: DelimitedSettings = {
  kind: "delimited",
  delimiter: ",",
  quote: '"',
  escape: '"',
  headerRows: 1,
  skipRows: 0,
  nullText: "",
  encoding: "utf-8",
};

/** A parsed entry as plain values: what a test compares. */
export interface Table {
  readonly names: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly rowNumbers: readonly number[];
  readonly byteOffsets: readonly number[];
  readonly faults: readonly { row: number; code: string; message: string; raw: string }[];
}

export async function toTable(parsed: ParsedEntry): Promise<Table> {
  const rows: (string | null)[][] = [];
  const rowNumbers: number[] = [];
  const byteOffsets: number[] = [];
  const faults: { row: number; code: string; message: string; raw: string }[] = [];
  for await (const block of parsed.blocks) {
    for (let index = 0; index < block.rows; index++) {
      rows.push(block.columns.map((_, column) => cell(block, column, index)));
      rowNumbers.push(block.firstRow + index);
      byteOffsets.push(block.byteOffsets[index] ?? Number.NaN);
    }
    for (const { index, code, message, raw } of block.faults) {
      faults.push({ row: block.firstRow + index, code, message, raw: Buffer.from(raw).toString() });
    }
  }
  return { names: parsed.columns.map(({ name }) => name), rows, rowNumbers, byteOffsets, faults };
}

export function cell(block: Block, column: number, index: number): string | null {
  const text = block.columns[column];
  if (text === undefined) throw new Error(`no column ${column}`);
  const bit = (text.validity?.[index >> 3] ?? 0xff) & (1 << (index & 7));
  const bytes = text.data.subarray(text.offsets[index], text.offsets[index + 1]);
  if (bit === 0) {
    if (bytes.length > 0) throw new Error("a null cell has bytes");
    return null;
  }
  return Buffer.from(bytes).toString();
}
