/** A frame that decoders of zstd and lz4 pass over. */
export function skippable(content: Uint8Array, kind = 0): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a50 + kind, 0);
  head.writeUInt32LE(content.byteLength, 4);
  return Buffer.concat([head, content]);
}
