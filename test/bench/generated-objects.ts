import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type FileMetaData, parquetMetadata } from "hyparquet";
import { ByteWriter } from "hyparquet-writer";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import type { GeneratedObject } from "./generated-store.ts";

/** Rows of text that compress like names and ids do: about 2 to 1. */
export function csvBlock(rows: number): Buffer {
  const lines = Array.from({ length: rows }, (_, i) => {
    const hash = createHash("sha1").update(String(i)).digest("hex");
    return `${i},name ${hash.slice(0, 12)},${hash}@example.com,${(i * 7919) % 100_000}.${i % 100},2026-0${1 + (i % 9)}-1${i % 10}`;
  });
  return Buffer.from(`${lines.join("\n")}\n`);
}

export function ndjsonBlock(rows: number): Buffer {
  const lines = csvBlock(rows)
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [id, name, email, amount, day] = line.split(",");
      return `{"id":${id},"name":"${name}","email":"${email}","amount":${amount},"day":"${day}"}`;
    });
  return Buffer.from(`${lines.join("\n")}\n`);
}

/** A head, then one block again and again, up to at least `size` bytes. */
export function repeated(head: Buffer, block: Buffer, size: number): GeneratedObject {
  const blocks = Math.ceil((size - head.length) / block.length);
  return {
    size: head.length + blocks * block.length,
    *read(start, end) {
      let at = start;
      while (at < end) {
        const isHead = at < head.length;
        const from = isHead ? at : (at - head.length) % block.length;
        const piece = (isHead ? head : block).subarray(from, from + Math.min(end - at, 2 ** 20));
        yield piece;
        at += piece.length;
      }
    },
  };
}

/** Each block is a gzip member of its own: together they are one gzip file. */
export function gzipMembers(head: Buffer, block: Buffer, size: number): GeneratedObject {
  return repeated(gzipSync(head), gzipSync(block), size);
}

const MEMBER_BYTES = 2 ** 20;

/** An object in gzip, each mebibyte a member of its own, stored: sizes are known before a byte is made. */
export function gzipped(inner: GeneratedObject): GeneratedObject {
  const stored = (bytes: Uint8Array): Buffer => gzipSync(bytes, { level: 0 });
  const memberSize = stored(Buffer.alloc(MEMBER_BYTES)).length;
  const members = Math.floor(inner.size / MEMBER_BYTES);
  const rest = inner.size % MEMBER_BYTES;
  const size = members * memberSize + (rest > 0 ? stored(Buffer.alloc(rest)).length : 0);
  return {
    size,
    *read(start, end) {
      let at = start;
      while (at < end) {
        const member = Math.floor(at / memberSize);
        const from = member * MEMBER_BYTES;
        const plain = inner.read(from, Math.min(from + MEMBER_BYTES, inner.size));
        const bytes = stored(Buffer.concat([...(plain as Iterable<Uint8Array>)]));
        const piece = bytes.subarray(at - member * memberSize, end - member * memberSize);
        yield piece;
        at += piece.length;
      }
    },
  };
}

const PARTIAL_BITS = 16;
const PARTIAL = 2 ** PARTIAL_BITS;

/**
 * An OpenPGP message to a passphrase around an object (RFC 4880: a symmetric-key session key packet, then a SEIPD
 * packet of AES-256 in CFB with the digest at its end), both layers in partial lengths.
 */
export function pgpMessage(inner: GeneratedObject, passphrase: string): GeneratedObject {
  const salt = randomBytes(8);
  const prefix = randomBytes(16);
  // Iterated and salted S2K by SHA-256 over 65,536 bytes.
  const text = Buffer.concat([salt, Buffer.from(passphrase)]);
  const counted = Buffer.alloc(65_536);
  for (let at = 0; at < counted.length; at++) counted[at] = text[at % text.length] ?? 0;
  const key = createHash("sha256").update(counted).digest();
  const session = Buffer.concat([Buffer.from([0xc3, 13, 4, 9, 3, 8]), salt, Buffer.from([96])]);
  const literal = Buffer.from([0x62, 0, 0, 0, 0, 0]);
  const literalSize = 1 + framedSize(literal.length + inner.size);
  const encryptedSize = 1 + 18 + literalSize + 22;

  function* literalPacket(): Generator<Uint8Array> {
    yield Buffer.from([0xcb]);
    yield* framed(literal.length + inner.size, chunks(literal, inner));
  }
  function* encrypted(): Generator<Uint8Array> {
    yield Buffer.from([1]);
    const cipher = createCipheriv("aes-256-cfb", key, Buffer.alloc(16));
    const digest = createHash("sha1");
    const plain = Buffer.concat([prefix, prefix.subarray(14)]);
    digest.update(plain);
    yield cipher.update(plain);
    for (const part of literalPacket()) {
      digest.update(part);
      yield cipher.update(part);
    }
    const mdc = Buffer.from([0xd3, 0x14]);
    digest.update(mdc);
    yield cipher.update(mdc);
    yield cipher.update(digest.digest());
  }
  const size = session.length + 1 + framedSize(encryptedSize);
  return {
    size,
    *read(start, end) {
      if (start !== 0 || end !== size)
        throw new Error("an encrypted object is read from its start");
      yield session;
      yield Buffer.from([0xd2]);
      yield* framed(encryptedSize, encrypted());
    },
  };
}

function* chunks(head: Uint8Array, { size, read }: GeneratedObject): Generator<Uint8Array> {
  yield head;
  yield* read(0, size) as Iterable<Uint8Array>;
}

function framedSize(length: number): number {
  const partials = Math.floor(length / PARTIAL);
  return length + partials + 5;
}

/** A packet's body in partial lengths, its end with a length of five bytes. */
function* framed(length: number, body: Iterable<Uint8Array>): Generator<Uint8Array> {
  let partials = Math.floor(length / PARTIAL);
  let room = 0;
  const next = (): Uint8Array => {
    if (partials > 0) {
      partials--;
      room = PARTIAL;
      return Buffer.from([224 + PARTIAL_BITS]);
    }
    const last = Buffer.alloc(5, 255);
    last.writeUInt32BE(length % PARTIAL, 1);
    room = Number.POSITIVE_INFINITY;
    return last;
  };
  for (const chunk of body) {
    for (let at = 0; at < chunk.length; ) {
      if (room === 0) yield next();
      const piece = chunk.subarray(at, at + room);
      yield piece;
      at += piece.length;
      room -= piece.length;
    }
  }
  if (room === 0) yield next();
}

/** A Parquet file whose row groups are the one of `file` again and again, up to at least `size` bytes. */
export function repeatedRowGroups(file: Buffer, size: number): GeneratedObject {
  const metadata = parquetMetadata(Uint8Array.from(file).buffer);
  const footerLength = file.readUInt32LE(file.length - 8);
  const group = file.subarray(4, file.length - 8 - footerLength);
  const copies = Math.ceil(size / group.length);
  const footer = footerOf(metadata, group.length, copies);
  const head = file.subarray(0, 4);
  const body = repeated(head, group, head.length + copies * group.length);
  return {
    size: body.size + footer.length,
    *read(start, end) {
      if (start < body.size)
        yield* body.read(start, Math.min(end, body.size)) as Iterable<Uint8Array>;
      if (end > body.size) {
        yield footer.subarray(Math.max(0, start - body.size), end - body.size);
      }
    },
  };
}

function footerOf(metadata: FileMetaData, groupSize: number, copies: number): Buffer {
  const [first] = metadata.row_groups;
  if (first === undefined || metadata.row_groups.length !== 1) {
    throw new Error("the sample has to be one row group");
  }
  const row_groups = Array.from({ length: copies }, (_, copy) => {
    const shift = BigInt(copy * groupSize);
    const columns = first.columns.map(({ meta_data, ...column }) => ({
      ...column,
      file_offset: column.file_offset + shift,
      ...(meta_data && {
        meta_data: {
          ...meta_data,
          data_page_offset: meta_data.data_page_offset + shift,
          ...(meta_data.dictionary_page_offset !== undefined && {
            dictionary_page_offset: meta_data.dictionary_page_offset + shift,
          }),
        },
      }),
    }));
    const {
      offset_index_offset: _a,
      column_index_offset: _b,
      ...rest
    } = first as unknown as Record<string, unknown>;
    return { ...rest, columns };
  });
  const writer = new ByteWriter();
  // ClickHouse refuses whole numbers with the logical type as it is written here; the older mark says the same.
  const schema = metadata.schema.map(({ logical_type: _, ...element }) => element);
  const whole = {
    ...metadata,
    schema,
    row_groups,
    num_rows: metadata.num_rows * BigInt(copies),
  } as unknown as FileMetaData;
  writeMetadata(writer, whole);
  const bytes = Buffer.from(writer.getBytes());
  return Buffer.concat([bytes, Buffer.from("PAR1")]);
}
