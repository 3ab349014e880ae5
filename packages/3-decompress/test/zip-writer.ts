import { crc32, deflateRawSync } from "node:zlib";

/** Fields of a header that a test sets to something else than the truth. */
export interface HeaderLies {
  readonly signature?: number;
  readonly name?: Buffer;
  readonly flags?: number;
  readonly method?: number;
  readonly crc?: number;
  readonly compressedSize?: number;
  readonly size?: number;
  readonly offset?: number;
  readonly disk?: number;
  readonly extra?: Buffer;
  /** Of the central header. */
  readonly comment?: Buffer;
}

export interface ZipPart {
  readonly name: string | Buffer;
  readonly content?: Uint8Array;
  /** 0 stored, 8 deflated (the default). */
  readonly method?: number;
  /** Data as it stands in the zip, instead of the content compressed. */
  readonly data?: Uint8Array;
  readonly flags?: number;
  readonly host?: number;
  readonly mode?: number;
  /** The same in both headers. */
  readonly extra?: Buffer;
  /** Bytes of the data descriptor: 0 (none), 12, 16, 20 or 24. */
  readonly descriptor?: number;
  /** Writes sizes and offset into zip64 fields. */
  readonly isZip64?: boolean;
  readonly local?: HeaderLies;
  readonly central?: HeaderLies;
  readonly descriptorLies?: HeaderLies;
  /** Bytes behind the entry that belong to nothing. */
  readonly behind?: Buffer;
}

export interface ZipEnd {
  readonly comment?: Buffer;
  readonly isZip64?: boolean;
  /** Bytes before the first entry, with offsets that count them or do not. */
  readonly prefix?: Buffer;
  readonly countsPrefix?: boolean;
  readonly behindDirectory?: Buffer;
  readonly entries?: number;
  readonly size?: number;
  readonly start?: number;
  readonly disk?: number;
  readonly commentLength?: number;
  readonly entries64?: number | bigint;
  readonly size64?: number | bigint;
  readonly start64?: number | bigint;
  readonly disk64?: number;
  readonly locatorOffset?: number;
  readonly record64Size?: number;
}

const FULL_32 = 0xffffffff;

/** One extra field. */
export function extraField(id: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(id, 0);
  head.writeUInt16LE(data.byteLength, 2);
  return Buffer.concat([head, data]);
}

export function uint64s(...values: (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), 8 * i);
  return bytes;
}

/** Writes a zip by the book, but for what the lies say. */
export function writeZip(parts: readonly ZipPart[], end: ZipEnd = {}): Buffer {
  const prefix = end.prefix ?? Buffer.alloc(0);
  const base = end.countsPrefix === false ? prefix.byteLength : 0;
  const pieces: Buffer[] = [prefix];
  const directory: Buffer[] = [];
  let offset = prefix.byteLength;
  for (const part of parts) {
    const { local, central } = writePart(part, offset - base);
    pieces.push(local);
    directory.push(central);
    offset += local.byteLength;
  }
  const records = Buffer.concat(directory);
  const ending = writeEnd(parts.length, records.byteLength, offset - base, offset, end);
  return Buffer.concat([...pieces, records, end.behindDirectory ?? Buffer.alloc(0), ending]);
}

function writePart(part: ZipPart, offset: number): { local: Buffer; central: Buffer } {
  const name = Buffer.from(part.name as string);
  const content = part.content ?? Buffer.alloc(0);
  const method = part.method ?? 8;
  const data = part.data ?? (method === 8 ? deflateRawSync(content) : content);
  const descriptor = part.descriptor ?? 0;
  const flags = (part.flags ?? 0) | (descriptor > 0 ? 8 : 0);
  const truth = {
    name,
    flags,
    method,
    crc: crc32(content),
    compressedSize: data.byteLength,
    size: content.byteLength,
    offset,
    disk: 0,
    extra: part.extra ?? Buffer.alloc(0),
    comment: Buffer.alloc(0),
  };
  const long = part.isZip64 === true;
  const sizes = [truth.size, truth.compressedSize];
  const full = { size: FULL_32, compressedSize: FULL_32 };
  // A writer that does not know the sizes yet: zeros, which stand in the zip64 field if there is one.
  const later = descriptor > 0 ? { crc: 0, ...(!long && { size: 0, compressedSize: 0 }) } : {};
  const localSizes = descriptor > 0 ? [0, 0] : sizes;
  const local = {
    signature: 0x04034b50,
    ...truth,
    ...(long && {
      ...full,
      extra: Buffer.concat([extraField(1, uint64s(...localSizes)), truth.extra]),
    }),
    ...later,
    ...part.local,
  };
  const central = {
    signature: 0x02014b50,
    ...truth,
    ...(long && {
      ...full,
      offset: FULL_32,
      extra: Buffer.concat([extraField(1, uint64s(...sizes, offset)), truth.extra]),
    }),
    ...part.central,
  };
  const localHead = Buffer.alloc(30);
  localHead.writeUInt32LE(local.signature, 0);
  localHead.writeUInt16LE(20, 4);
  common(localHead, 6, local);
  localHead.writeUInt16LE(local.name.byteLength, 26);
  localHead.writeUInt16LE(local.extra.byteLength, 28);

  const centralHead = Buffer.alloc(46);
  centralHead.writeUInt32LE(central.signature, 0);
  centralHead.writeUInt8(20, 4);
  centralHead.writeUInt8(part.host ?? 0, 5);
  centralHead.writeUInt16LE(20, 6);
  common(centralHead, 8, central);
  centralHead.writeUInt16LE(central.name.byteLength, 28);
  centralHead.writeUInt16LE(central.extra.byteLength, 30);
  centralHead.writeUInt16LE(central.comment.byteLength, 32);
  centralHead.writeUInt16LE(central.disk, 34);
  centralHead.writeUInt32LE(((part.mode ?? 0) << 16) >>> 0, 38);
  centralHead.writeUInt32LE(central.offset, 42);

  return {
    local: Buffer.concat([
      localHead,
      local.name,
      local.extra,
      data,
      writeDescriptor(descriptor, { ...truth, ...part.descriptorLies }),
      part.behind ?? Buffer.alloc(0),
    ]),
    central: Buffer.concat([centralHead, central.name, central.extra, central.comment]),
  };
}

interface CommonFields {
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
}

function common(head: Buffer, at: number, fields: CommonFields): void {
  head.writeUInt16LE(fields.flags, at);
  head.writeUInt16LE(fields.method, at + 2);
  head.writeUInt16LE(0x6000, at + 4);
  head.writeUInt16LE(0x5821, at + 6);
  head.writeUInt32LE(fields.crc, at + 8);
  head.writeUInt32LE(fields.compressedSize, at + 12);
  head.writeUInt32LE(fields.size, at + 16);
}

function writeDescriptor(length: number, fields: CommonFields): Buffer {
  if (length === 0) return Buffer.alloc(0);
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE(fields.crc);
  const sizes = uint64s(fields.compressedSize, fields.size);
  const isLong = length >= 20;
  const short = Buffer.concat([sizes.subarray(0, 4), sizes.subarray(8, 12)]);
  const isSigned = length === 16 || length === 24;
  return Buffer.concat([Buffer.from(isSigned ? "PK\x07\x08" : ""), crc, isLong ? sizes : short]);
}

function writeEnd(count: number, size: number, start: number, at: number, end: ZipEnd): Buffer {
  const comment = end.comment ?? Buffer.alloc(0);
  const record = Buffer.alloc(22);
  record.writeUInt32LE(0x06054b50, 0);
  record.writeUInt16LE(end.disk ?? 0, 4);
  record.writeUInt16LE(end.entries ?? (end.isZip64 ? 0xffff : count), 8);
  record.writeUInt16LE(end.entries ?? (end.isZip64 ? 0xffff : count), 10);
  record.writeUInt32LE(end.size ?? (end.isZip64 ? FULL_32 : size), 12);
  record.writeUInt32LE(end.start ?? (end.isZip64 ? FULL_32 : start), 16);
  record.writeUInt16LE(end.commentLength ?? comment.byteLength, 20);
  if (end.isZip64 !== true) return Buffer.concat([record, comment]);

  const record64 = Buffer.alloc(56);
  record64.writeUInt32LE(0x06064b50, 0);
  uint64s(end.record64Size ?? 44).copy(record64, 4);
  record64.writeUInt16LE(45, 12);
  record64.writeUInt16LE(45, 14);
  record64.writeUInt32LE(end.disk64 ?? 0, 16);
  const entries = end.entries64 ?? count;
  uint64s(entries, entries, end.size64 ?? size, end.start64 ?? start).copy(record64, 24);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  uint64s(end.locatorOffset ?? at + size).copy(locator, 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record64, locator, record, comment]);
}
