/** bzip2's CRC-32: the polynomial of all others, the highest bit first. */
const TABLE: Int32Array = makeTable();

function makeTable(): Int32Array {
  const table = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
    table[byte] = crc;
  }
  return table;
}

/** Goes on with `crc`, which begins as -1 and is inverted at the end, over more bytes. */
export function bzip2Crc(bytes: Uint8Array, crc: number): number {
  let next = crc;
  for (let i = 0; i < bytes.byteLength; i++) {
    next = (next << 8) ^ (TABLE[(next >>> 24) ^ (bytes[i] as number)] as number);
  }
  return next;
}
