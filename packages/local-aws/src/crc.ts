/** CRC-32C and CRC-64/NVME by slicing-by-8 tables, and the joining of two CRCs of any width. */

/** Reflected polynomials; the width is in bits. */
export const POLYNOMIALS = {
  crc32: { width: 32, polynomial: 0xedb88320n },
  crc32c: { width: 32, polynomial: 0x82f63b78n },
  crc64nvme: { width: 64, polynomial: 0x9a6c9329ac4bc9b5n },
} as const;

const SLICES = 8;

function tablesOf32(polynomial: number): Int32Array[] {
  const tables = Array.from({ length: SLICES }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    at(tables, 0)[byte] = value;
  }
  for (let slice = 1; slice < SLICES; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = at(at(tables, slice - 1), byte);
      at(tables, slice)[byte] = (before >>> 8) ^ at(at(tables, 0), before & 255);
    }
  }
  return tables;
}

interface Table64 {
  readonly low: Int32Array;
  readonly high: Int32Array;
}

function tablesOf64(polynomial: bigint): Table64[] {
  const tables = Array.from({ length: SLICES }, () => ({
    low: new Int32Array(256),
    high: new Int32Array(256),
  }));
  const first = new BigUint64Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    first[byte] = value;
  }
  let current = first;
  for (let slice = 0; slice < SLICES; slice++) {
    const table = at(tables, slice);
    const next = new BigUint64Array(256);
    for (let byte = 0; byte < 256; byte++) {
      const value = current[byte] ?? 0n;
      table.low[byte] = Number(BigInt.asIntN(32, value));
      table.high[byte] = Number(BigInt.asIntN(32, value >> 32n));
      next[byte] = (value >> 8n) ^ (first[Number(value & 255n)] ?? 0n);
    }
    current = next;
  }
  return tables;
}

function at<T>(list: ArrayLike<T>, index: number): T {
  return list[index] as T;
}

const [c0, c1, c2, c3, c4, c5, c6, c7] = tablesOf32(0x82f63b78) as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];
const [n0, n1, n2, n3, n4, n5, n6, n7] = tablesOf64(POLYNOMIALS.crc64nvme.polynomial) as [
  Table64,
  Table64,
  Table64,
  Table64,
  Table64,
  Table64,
  Table64,
  Table64,
];

/** CRC-32C (Castagnoli) of `data`, continuing from `previous`; an unsigned 32-bit number. */
export function crc32c(data: Uint8Array, previous = 0): number {
  let crc = ~previous;
  let offset = 0;
  const whole = data.length - (data.length % 8);
  for (; offset < whole; offset += 8) {
    crc ^=
      (data[offset] as number) |
      ((data[offset + 1] as number) << 8) |
      ((data[offset + 2] as number) << 16) |
      ((data[offset + 3] as number) << 24);
    crc =
      (c7[crc & 255] as number) ^
      (c6[(crc >>> 8) & 255] as number) ^
      (c5[(crc >>> 16) & 255] as number) ^
      (c4[crc >>> 24] as number) ^
      (c3[data[offset + 4] as number] as number) ^
      (c2[data[offset + 5] as number] as number) ^
      (c1[data[offset + 6] as number] as number) ^
      (c0[data[offset + 7] as number] as number);
  }
  for (; offset < data.length; offset++)
    crc = (crc >>> 8) ^ (c0[(crc ^ (data[offset] as number)) & 255] as number);
  return ~crc >>> 0;
}

/** CRC-64/NVME of `data`, continuing from `previous`. */
export function crc64nvme(data: Uint8Array, previous = 0n): bigint {
  let low = ~Number(BigInt.asIntN(32, previous));
  let high = ~Number(BigInt.asIntN(32, previous >> 32n));
  let offset = 0;
  const whole = data.length - (data.length % 8);
  for (; offset < whole; offset += 8) {
    low ^=
      (data[offset] as number) |
      ((data[offset + 1] as number) << 8) |
      ((data[offset + 2] as number) << 16) |
      ((data[offset + 3] as number) << 24);
    high ^=
      (data[offset + 4] as number) |
      ((data[offset + 5] as number) << 8) |
      ((data[offset + 6] as number) << 16) |
      ((data[offset + 7] as number) << 24);
    const a = low & 255;
    const b = (low >>> 8) & 255;
    const c = (low >>> 16) & 255;
    const d = low >>> 24;
    const e = high & 255;
    const f = (high >>> 8) & 255;
    const g = (high >>> 16) & 255;
    const h = high >>> 24;
    low =
      (n7.low[a] as number) ^
      (n6.low[b] as number) ^
      (n5.low[c] as number) ^
      (n4.low[d] as number) ^
      (n3.low[e] as number) ^
      (n2.low[f] as number) ^
      (n1.low[g] as number) ^
      (n0.low[h] as number);
    high =
      (n7.high[a] as number) ^
      (n6.high[b] as number) ^
      (n5.high[c] as number) ^
      (n4.high[d] as number) ^
      (n3.high[e] as number) ^
      (n2.high[f] as number) ^
      (n1.high[g] as number) ^
      (n0.high[h] as number);
  }
  for (; offset < data.length; offset++) {
    const index = (low ^ (data[offset] as number)) & 255;
    low = ((low >>> 8) | (high << 24)) ^ (n0.low[index] as number);
    high = (high >>> 8) ^ (n0.high[index] as number);
  }
  return (BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0);
}

/**
 * The CRC of A followed by B, from the CRC of each and B's length in bytes: A's CRC is pushed through
 * `secondLength` zero bytes by repeated squaring of the shift matrix, so it costs the logarithm of the length.
 */
export function joinCrc(
  algorithm: keyof typeof POLYNOMIALS,
  first: bigint,
  second: bigint,
  secondLength: number,
): bigint {
  const { width, polynomial } = POLYNOMIALS[algorithm];
  let matrix = Array.from({ length: width }, (_, bit) =>
    bit === 0 ? polynomial : 1n << BigInt(bit - 1),
  );
  let shifted = first;
  for (let bits = BigInt(secondLength) * 8n; bits > 0n; bits >>= 1n) {
    if (bits & 1n) shifted = multiply(matrix, shifted);
    matrix = square(matrix);
  }
  return shifted ^ second;
}

function multiply(matrix: readonly bigint[], vector: bigint): bigint {
  let sum = 0n;
  for (let bit = 0, rest = vector; rest > 0n; bit++, rest >>= 1n) {
    if (rest & 1n) sum ^= matrix[bit] ?? 0n;
  }
  return sum;
}

function square(matrix: readonly bigint[]): bigint[] {
  return matrix.map((column) => multiply(matrix, column));
}
