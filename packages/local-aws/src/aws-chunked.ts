import { createHash, type Hash } from "node:crypto";
import { S3Error } from "./s3-error.ts";
import {
  chunkSignature,
  EMPTY_SHA256,
  type SigningContext,
  signaturesEqual,
  trailerSignature,
} from "./sigv4.ts";

/** Longest chunk header or trailer line that is read before giving up, in bytes. */
const MAX_LINE_BYTES = 16_384;

export interface AwsChunkedOptions {
  /** Present when every chunk carries a signature of the chain that starts at the request's own. */
  readonly signing?: SigningContext;
  /** Filled with the trailing headers (lower-case names) by the time the iteration ends. */
  readonly trailers: Map<string, string>;
  /** Whether x-amz-trailer announced trailing headers, which are then signed as well. */
  readonly expectsTrailers: boolean;
}

/**
 * Takes the framing off an aws-chunked body ("Signature calculations for trailing checksums"): yields data alone,
 * never a whole chunk at once, and checks each chunk's signature where there is one.
 */
export async function* decodeAwsChunked(
  source: AsyncIterable<Buffer>,
  options: AwsChunkedOptions,
): AsyncIterable<Buffer> {
  const { signing } = options;
  let previous = signing?.seedSignature ?? "";
  const reader = new LineAndByteReader(source);
  for (;;) {
    const { size, signature } = parseChunkHeader(await reader.line());
    const hash: Hash | undefined = signing && createHash("sha256");
    for (let left = size; left > 0; ) {
      const data = await reader.bytes(left);
      hash?.update(data);
      left -= data.length;
      yield data;
    }
    if (signing !== undefined) {
      const digest = size === 0 ? EMPTY_SHA256 : (hash?.digest("hex") ?? "");
      const expected = chunkSignature(signing, previous, digest);
      if (!signaturesEqual(expected, signature ?? "")) throw chunkMismatch();
      previous = expected;
    }
    if (size === 0) break;
    if ((await reader.line()) !== "") throw malformed();
  }
  await readTrailers(reader, options, previous);
}

async function readTrailers(
  reader: LineAndByteReader,
  options: AwsChunkedOptions,
  previous: string,
): Promise<void> {
  const { signing, trailers, expectsTrailers } = options;
  let signedLines = "";
  let signature: string | undefined;
  // Some clients leave out the blank line that closes a body without trailers.
  for (let line = await reader.lineOrEnd(); line; line = await reader.lineOrEnd()) {
    const colon = line.indexOf(":");
    if (colon < 0) throw malformed();
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === "x-amz-trailer-signature") {
      signature = value;
    } else {
      trailers.set(name, value);
      signedLines += `${name}:${value}\n`;
    }
  }
  if (signing === undefined || !expectsTrailers) return;
  if (!signaturesEqual(trailerSignature(signing, previous, signedLines), signature ?? "")) {
    throw chunkMismatch();
  }
}

function parseChunkHeader(line: string): { size: number; signature: string | undefined } {
  const match = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]+))?\s*$/.exec(line);
  if (match === null) throw malformed();
  return { size: Number.parseInt(match[1] ?? "", 16), signature: match[2] };
}

class LineAndByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Some bytes, at least one and at most `max`. */
  async bytes(max: number): Promise<Buffer> {
    if (this.#buffer.length === 0 && !(await this.#fill())) throw incomplete();
    const data = this.#buffer.subarray(0, max);
    this.#buffer = this.#buffer.subarray(data.length);
    return data;
  }

  async line(): Promise<string> {
    const line = await this.lineOrEnd();
    if (line === undefined) throw incomplete();
    return line;
  }

  async lineOrEnd(): Promise<string | undefined> {
    for (;;) {
      const end = this.#buffer.indexOf("\n");
      if (end >= 0) {
        const line = this.#buffer.toString("latin1", 0, end).replace(/\r$/, "");
        this.#buffer = this.#buffer.subarray(end + 1);
        return line;
      }
      if (this.#buffer.length > MAX_LINE_BYTES) throw malformed();
      if (!(await this.#fill())) {
        if (this.#buffer.length > 0) throw incomplete();
        return undefined;
      }
    }
  }

  async #fill(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done) return false;
    this.#buffer =
      this.#buffer.length === 0 ? next.value : Buffer.concat([this.#buffer, next.value]);
    return true;
  }
}

function malformed(): S3Error {
  return new S3Error("InvalidRequest", "The aws-chunked body is malformed.");
}

function incomplete(): S3Error {
  return new S3Error(
    "IncompleteBody",
    "You did not provide the number of bytes specified by the Content-Length HTTP header",
  );
}

function chunkMismatch(): S3Error {
  return new S3Error(
    "SignatureDoesNotMatch",
    "The chunk signature we calculated does not match the signature you provided.",
  );
}
