import type { ByteReader } from "@sluice/streams";
import { describeArmor } from "./describe-bytes.ts";
import { badFraming, notEncrypted, truncated } from "./failures.ts";

const BEGIN = "-----BEGIN ";
const END = "-----END PGP MESSAGE-----";
const MAX_LINE_BYTES = 4096;
const MAX_HEADER_LINES = 100;
const DASH = 0x2d;

/** Whether an armored block begins here, byte order mark and blank lines before it allowed. */
export function isArmored(head: Uint8Array): boolean {
  const start = Buffer.from(head)
    .toString("latin1")
    .replace(/^\u00ef\u00bb\u00bf/, "");
  return start.trimStart().startsWith(BEGIN);
}

async function readLine(reader: ByteReader): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const chunk = await reader.chunk();
    if (chunk === undefined) throw truncated(reader.offset);
    const at = chunk.indexOf(0x0a);
    const part = at < 0 ? chunk : chunk.subarray(0, at + 1);
    parts.push(part);
    length += part.byteLength;
    if (length > MAX_LINE_BYTES)
      throw badFraming(reader.offset, "A line of the armor is too long.");
    if (at < 0) continue;
    if (part.byteLength < chunk.byteLength) reader.putBack(chunk.subarray(part.byteLength));
    return Buffer.concat(parts).toString("latin1").trim();
  }
}

async function readArmorHeader(reader: ByteReader): Promise<void> {
  let line = await readLine(reader);
  while (!line.includes(BEGIN)) line = await readLine(reader);
  const type = /-----BEGIN ([A-Z ,/0-9]+)-----$/.exec(line)?.[1] ?? "";
  if (type !== "PGP MESSAGE") throw notEncrypted(describeArmor(type));
  for (let lines = 0; line !== ""; lines++) {
    if (lines > MAX_HEADER_LINES)
      throw badFraming(reader.offset, "The armor has too many headers.");
    line = await readLine(reader);
  }
}

/**
 * Takes the armor off (RFC 9580, 6.2) and gives the bytes inside. The CRC-24 at its end is passed
 * over, as section 6.1 demands: the message's own integrity check is the one that counts.
 */
export async function* dearmor(reader: ByteReader): AsyncGenerator<Uint8Array> {
  await readArmorHeader(reader);
  let left = "";
  for (;;) {
    const chunk = await reader.chunk();
    if (chunk === undefined) throw truncated(reader.offset);
    const dash = chunk.indexOf(DASH);
    const body = dash < 0 ? chunk : chunk.subarray(0, dash);
    left += Buffer.from(body.buffer, body.byteOffset, body.byteLength)
      .toString("latin1")
      .replace(/[ \t\r\n]+/g, "");
    if (dash >= 0) {
      reader.putBack(chunk.subarray(dash));
      break;
    }
    // The last characters may be padding or the checksum, which are told apart at the end only.
    const whole = Math.max(0, left.length - 16) & ~3;
    if (whole > 0) yield decodeBase64(left.slice(0, whole), reader.offset);
    left = left.slice(whole);
  }
  const last = /^([A-Za-z0-9+/]*={0,2}?)(=[A-Za-z0-9+/]{4})?$/.exec(left)?.[1];
  if (last === undefined)
    throw badFraming(reader.offset, "The armor has characters that are no base64.");
  if (last.length > 0) yield decodeBase64(last, reader.offset);
  await readArmorEnd(reader);
}

function decodeBase64(text: string, offset: number): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  // Node passes over characters that are no base64; the length tells.
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  if (text.length % 4 !== 0 || bytes.byteLength !== (text.length / 4) * 3 - padding) {
    throw badFraming(offset, "The armor has characters that are no base64.");
  }
  return bytes;
}

async function readArmorEnd(reader: ByteReader): Promise<void> {
  const end = Buffer.from(await reader.take(END.length)).toString("latin1");
  if (end !== END) {
    throw END.startsWith(end)
      ? truncated(reader.offset)
      : badFraming(reader.offset, "The armor does not end as it must.");
  }
  for (let chunk = await reader.chunk(); chunk !== undefined; chunk = await reader.chunk()) {
    if (Buffer.from(chunk).toString("latin1").trim() !== "") {
      throw badFraming(reader.offset, "Something follows the message: one message to a file.");
    }
  }
}
