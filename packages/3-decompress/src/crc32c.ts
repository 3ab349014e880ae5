/** CRC-32C (Castagnoli), reflected; eight tables, so that eight bytes are taken at a time. */
const TABLES = makeTables();

type Tables = [T, T, T, T, T, T, T, T];
type T = Uint32Array;

function makeTables(): Tables {
  const table = (): T => new Uint32Array(256);
  const tables: Tables = [table(), table(), table(), table(), table(), table(), table(), table()];
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    tables[0][byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    let crc = tables[0][byte] as number;
    for (const next of tables.slice(1)) {
      crc = (crc >>> 8) ^ (tables[0][crc & 0xff] as number);
      next[byte] = crc;
    }
  }
  return tables;
}

/** The CRC-32C of some bytes, as an unsigned number. */
export function crc32c(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  const byte = (at: number): number => bytes[at] as number;
  let crc = 0xffff_ffff;
  let at = 0;
  for (; at + 8 <= bytes.byteLength; at += 8) {
    crc ^= byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24);
    crc =
      (t7[crc & 0xff] as number) ^
      (t6[(crc >>> 8) & 0xff] as number) ^
      (t5[(crc >>> 16) & 0xff] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[byte(at + 4)] as number) ^
      (t2[byte(at + 5)] as number) ^
      (t1[byte(at + 6)] as number) ^
      (t0[byte(at + 7)] as number);
  }
  for (; at < bytes.byteLength; at++) crc = (t0[(crc ^ byte(at)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}
