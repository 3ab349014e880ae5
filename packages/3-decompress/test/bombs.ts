import { constants, deflateRawSync, gzipSync } from "node:zlib";

export const MIB: number = 2 ** 20;

/** bzip2 -9 of 45,000,000 zeros: one block. */
export const BZIP2_ZEROS: Buffer = Buffer.from(
  "QlpoOTFBWSZTWckBtsgBWKtAIMAAEAAACCAAMMwFKaZSSFJsVJIUni7kinChIZIDbZA=",
  "base64",
);

/** One zstd frame of `blocks` blocks that each say 128 KiB of zeros in 4 bytes. */
export function zstdZeros(blocks: number): Buffer {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38]);
  const block = Buffer.from([0, 0, 0, 0]);
  block.writeUIntLE((128 * 1024 * 8) | 2, 0, 3);
  const all = Buffer.alloc(4 * blocks, block);
  all.writeUInt8(all.readUInt8(all.byteLength - 4) | 1, all.byteLength - 4);
  return Buffer.concat([header, all]);
}

/** A gzip member of 10 GiB of zeros and what is in its trailer, 64 MiB at a time. */
export async function* gzipZeros(): AsyncGenerator<Uint8Array> {
  yield gzipSync("").subarray(0, 10);
  const part = deflateRawSync(Buffer.alloc(64 * MIB), { finishFlush: constants.Z_FULL_FLUSH });
  for (let i = 0; i < 160; i++) yield part;
  throw new Error("the whole bomb was read");
}

export async function* repeated(part: Uint8Array, times: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < times; i++) yield part;
}
