import { StageError } from "@sluice/errors";
import type { ByteReader } from "@sluice/streams";
import { unsafeEntry } from "../archive-names.ts";
import { type ArchiveLimits, overArchiveLimit } from "../archive-options.ts";
import { type Damage, damageOf } from "../damage.ts";
import { describeBytes } from "../sniff.ts";
import { decodeUtf8 } from "../utf8.ts";
import {
  BLOCK_BYTES,
  cString,
  hasTarChecksum,
  isZeroBlock,
  parseTarHeader,
  type TarHeader,
} from "./header.ts";
import { type PaxFacts, parsePax } from "./pax.ts";

/** One member: a header with all that the headers before it say of it. */
export interface TarMember {
  readonly type: string;
  readonly name: string;
  /** Bytes of data, without the padding to whole blocks. */
  readonly size: number;
  /** Where its header starts. */
  readonly offset: number;
}

/** What the headers before a member's own say of it. */
interface Announced {
  pax?: PaxFacts;
  longName?: string;
  hasLongLink?: boolean;
}

/** Reads up to a member's data; undefined when the first of the two blocks that end an archive was read. */
export async function readTarMember(
  reader: ByteReader,
  limits: ArchiveLimits,
): Promise<TarMember | undefined> {
  const announced: Announced = {};
  for (;;) {
    const offset = reader.offset;
    const damage = damageOf("tar", () => offset);
    const block = await readBlock(reader);
    if (isZeroBlock(block)) {
      if (Object.keys(announced).length > 0) {
        throw damage.corrupt("The archive ends where an announced entry should follow.");
      }
      return undefined;
    }
    const header = parseTarHeader(block, damage);
    if (!"xXgLK".includes(header.type)) return memberOf(header, announced, offset, limits, damage);
    if (header.size > limits.maxHeaderBytes) {
      const subject = "A pax header or a long name has more bytes than";
      throw overArchiveLimit("tar", offset, subject, "maxHeaderBytes", limits);
    }
    const payload = await readPadded(reader, Number(header.size));
    announce(announced, header.type, payload, damage, offset);
  }
}

async function readBlock(reader: ByteReader): Promise<Uint8Array> {
  const offset = reader.offset;
  const block = await reader.take(BLOCK_BYTES);
  const isMagic = Buffer.from(block.subarray(257, 262)).toString("latin1") === "ustar";
  const isWhole = block.byteLength === BLOCK_BYTES;
  if (offset === 0 && !isMagic && !(isWhole && (isZeroBlock(block) || hasTarChecksum(block)))) {
    const seen = describeBytes(block);
    throw new StageError("decompress", "not_this_container", `The bytes are no tar: ${seen}.`, {
      layers: [{ kind: "tar", offset }],
      seen,
      expected: "tar",
    });
  }
  if (!isWhole) {
    const where = block.byteLength === 0 ? "before its two end blocks" : "inside a block";
    throw damageOf("tar", () => reader.offset).truncated(where);
  }
  return block;
}

async function readPadded(reader: ByteReader, size: number): Promise<Uint8Array> {
  const padded = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  const bytes = await reader.take(padded);
  if (bytes.byteLength < padded) {
    throw damageOf("tar", () => reader.offset).truncated("inside a pax header or a long name");
  }
  return bytes.subarray(0, size);
}

/** Two headers that say the same thing of one member are refused: readers differ in which one counts. */
function announce(
  announced: Announced,
  type: string,
  payload: Uint8Array,
  damage: Damage,
  offset: number,
): void {
  const twice = (): Error => damage.corrupt("Two headers of one kind stand before one entry.");
  if (type === "g") {
    const facts = parsePax(payload, damage);
    if (Object.keys(facts).length > 0) {
      // POSIX applies it to every entry that follows; many readers pass it over.
      throw unsafeEntry("tar", offset, "A global header sets names or sizes of entries.", "");
    }
  } else if (type === "L") {
    if (announced.longName !== undefined) throw twice();
    announced.longName = longName(payload, offset);
  } else if (type === "K") {
    if (announced.hasLongLink) throw twice();
    announced.hasLongLink = true;
  } else {
    if (announced.pax !== undefined) throw twice();
    announced.pax = parsePax(payload, damage);
  }
  if (announced.longName !== undefined && announced.pax?.path !== undefined) throw twice();
}

function longName(payload: Uint8Array, offset: number): string {
  const bytes = cString(payload);
  const name = decodeUtf8(bytes);
  if (name === undefined) throw notUtf8(offset, bytes);
  if (payload.subarray(bytes.byteLength).some((byte) => byte !== 0)) {
    throw unsafeEntry("tar", offset, "An entry's name has a NUL character.", name);
  }
  return name;
}

const notUtf8 = (offset: number, bytes: Uint8Array): Error =>
  unsafeEntry(
    "tar",
    offset,
    "An entry's name is not UTF-8.",
    Buffer.from(bytes).toString("latin1"),
  );

/** The largest size that a header's octal field holds. */
const MAX_OCTAL_SIZE = 0o77777777777n;

function memberOf(
  header: TarHeader,
  { pax, longName }: Announced,
  offset: number,
  limits: ArchiveLimits,
  damage: Damage,
): TarMember {
  const name = pax?.path ?? longName ?? header.name;
  if (name === undefined) throw notUtf8(offset, new Uint8Array(0));
  const sparse = pax?.sparseKey ?? (header.type === "S" ? "GNU" : undefined);
  if (sparse !== undefined) {
    throw damage.unsupported(
      "An entry is a sparse file. Write the archive without its sparse option.",
      `sparse (${sparse})`,
      "files with all their bytes",
    );
  }
  const size = pax?.size ?? header.size;
  // A reader that knows no pax goes by the header, and would cut the archive at other places.
  if (size !== header.size && size <= MAX_OCTAL_SIZE) {
    throw damage.corrupt("A pax header and the entry's own header give it different sizes.");
  }
  if (size > limits.maxEntryBytes) {
    const subject = "An entry says that it has more bytes than";
    throw overArchiveLimit("tar", offset, subject, "maxEntryBytes", limits).at({ entry: name });
  }
  return { type: header.type, name, size: Number(size), offset };
}
