/** One member as it will stand in the tar, true or not. */
export interface TarPart {
  readonly name?: string | Buffer;
  /** Default "0", a regular file. */
  readonly type?: string;
  readonly content?: Uint8Array;
  /** The twelve bytes of the size field; a number is written in octal. Default: the content's size. */
  readonly size?: number | Buffer;
  readonly magic?: "ustar" | "gnu" | "v7";
  readonly prefix?: string;
  readonly linkName?: string;
}

const BLOCK = 512;

export function padded(bytes: Uint8Array): Buffer {
  const size = Math.ceil(bytes.byteLength / BLOCK) * BLOCK;
  return Buffer.concat([bytes, Buffer.alloc(size - bytes.byteLength)]);
}

export function tarHeader(part: TarPart): Buffer {
  const { magic = "ustar", type = "0", content = Buffer.alloc(0) } = part;
  const size = part.size ?? content.byteLength;
  const block = Buffer.alloc(BLOCK);
  Buffer.from((part.name ?? "a.csv") as string).copy(block, 0, 0, 100);
  block.write("0000644\0", 100);
  block.write("0001750\0", 108);
  block.write("0001750\0", 116);
  if (typeof size === "number") block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  else size.copy(block, 124, 0, 12);
  block.write("14637245510\0", 136);
  block.write(type, 156, "latin1");
  block.write(part.linkName ?? "", 157);
  if (magic === "ustar") block.write("ustar\x0000", 257, "latin1");
  if (magic === "gnu") block.write("ustar  \0", 257, "latin1");
  if (magic === "ustar") block.write(part.prefix ?? "", 345);
  return withChecksum(block);
}

/** The block with the checksum that belongs to it. */
export function withChecksum(block: Buffer): Buffer {
  const summed = Buffer.from(block);
  summed.fill(" ", 148, 156);
  const sum = summed.reduce((total, byte) => total + byte, 0);
  summed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return summed;
}

/** The records of a pax header. */
export function paxRecords(records: Readonly<Record<string, string | Buffer>>): Buffer {
  return Buffer.concat(
    Object.entries(records).map(([key, value]) => {
      const rest = Buffer.concat([
        Buffer.from(` ${key}=`),
        Buffer.from(value as string),
        Buffer.from("\n"),
      ]);
      let length = rest.byteLength + 1;
      while (rest.byteLength + String(length).length !== length) length++;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

/** A pax header as a member of its own. */
export const pax = (records: Readonly<Record<string, string | Buffer>>, type = "x"): TarPart => ({
  name: "PaxHeaders/x",
  type,
  content: paxRecords(records),
});

/** The members' blocks, without the blocks that end an archive. */
export const tarBody = (parts: readonly TarPart[]): Buffer =>
  Buffer.concat(
    parts.flatMap((part) => [tarHeader(part), padded(part.content ?? Buffer.alloc(0))]),
  );

export const writeTar = (parts: readonly TarPart[]): Buffer =>
  Buffer.concat([tarBody(parts), Buffer.alloc(2 * BLOCK)]);
