import { containerOf, decompress } from "@sluice/decompress";
import { decrypt } from "@sluice/decrypt";
import { StageError } from "@sluice/errors";
import type { S3Source } from "@sluice/fetch";
import { type Guess, guess } from "@sluice/infer";
import type { ManifestObject } from "@sluice/schema";
import { COMPRESSIONS, type FileSettings, type PgpKeys } from "@sluice/schema";
import { type Look, type LookContext, lookAtObject } from "../preview/look-at-object.ts";
import { type RawSeen, rawView } from "../preview/raw-view.ts";

/** What is around the data of an object, and the head of what is inside. */
export interface InferredLayers {
  /** The credential that opens the message; undefined for an object that is none. */
  readonly pgp: Guess<string> | undefined;
  readonly compression: Guess<FileSettings["compression"]>;
  readonly archive: Guess<"none" | "zip" | "tar">;
  readonly head: Look<RawSeen>;
}

/** What the caller said already. */
export interface GivenLayers {
  readonly pgp: string | undefined;
  readonly compression: FileSettings["compression"] | undefined;
  readonly archive: "zip" | "tar" | undefined;
  readonly entry: string;
}

const GIVEN = "given";
const HEAD_BYTES = 64 * 1024;
/** Bytes of plain content that formats are told by. */
const SAMPLE_BYTES = 2 ** 20;

/** Takes the layers off one by one, as the bytes say; `keys` are the PGP credentials to try, by their ids. */
export async function inferLayers(
  source: S3Source,
  object: ManifestObject,
  given: GivenLayers,
  keys: ReadonlyMap<string, PgpKeys>,
  context: LookContext,
): Promise<InferredLayers> {
  const { signal, memory } = context;
  const pgp =
    given.pgp === undefined
      ? await inferPgp(source, object, keys, signal)
      : guess(given.pgp, 1, GIVEN);
  const held = pgp === undefined ? undefined : keys.get(pgp.value);
  const plain = (): AsyncIterable<Uint8Array> => {
    const bytes = source.read(object, { signal });
    return held === undefined
      ? bytes
      : decrypt({ ...context.config.limits.decrypt, keys: held, memory })(bytes);
  };
  const compression =
    given.compression === undefined
      ? await inferCompression(await headOf(plain()), object.key)
      : guess(given.compression, 1, GIVEN);
  const look = async (archive: "zip" | "tar" | undefined): Promise<Look<RawSeen>> => {
    const layers = {
      ...(held === undefined ? {} : { pgp: held }),
      compression: compression.value,
    };
    const every = {
      tag: "",
      selection: { kind: "every" },
      isOptional: false,
      isLoaded: true,
      settings: { compression: "auto", content: { kind: "avro" } },
    } as const;
    const content = archive === undefined ? BYTES : { kind: archive, entries: [every] };
    const options = { settings: { ...layers, content }, entry: given.entry };
    const viewer = rawView(SAMPLE_BYTES);
    return await lookAtObject(source, object, { ...options, viewer }, context);
  };
  if (given.archive !== undefined) {
    const archive = guess(given.archive, 1, GIVEN);
    return { pgp, compression, archive, head: await look(given.archive) };
  }
  const head = await look(undefined);
  const kind = archiveIn(head);
  if (kind === undefined) {
    const archive = guess("none" as const, 0.95, "the bytes begin no zip and no tar");
    return { pgp, compression, archive, head };
  }
  const archive = guess(kind, 0.99, `the bytes begin a ${kind}`);
  return { pgp, compression, archive, head: await look(kind) };
}

/** Bytes need no format: of those that stream any one will do. */
const BYTES = { kind: "avro" } as const;

/** The archive that a look at a plain file failed at. */
function archiveIn({ failure }: Look<RawSeen>): "zip" | "tar" | undefined {
  if (failure?.code !== "not_this_container") return undefined;
  const found = /(?:^|[^a-z])(zip|tar)$/.exec(failure.seen ?? "")?.[1];
  return found === "zip" || found === "tar" ? found : undefined;
}

async function headOf(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of bytes) {
    parts.push(chunk);
    held += chunk.byteLength;
    if (held >= HEAD_BYTES) break;
  }
  return Buffer.concat(parts);
}

/** What `decrypt` throws of messages that it took for none, or that the held keys do not open. */
const NOT_OPENED: readonly string[] = ["no_matching_key", "bad_passphrase", "unusable_key"];

/**
 * Which of the credentials opens the object, if it is an OpenPGP message at all. Throws the failure of a message that
 * none opens.
 */
async function inferPgp(
  source: S3Source,
  object: ManifestObject,
  keys: ReadonlyMap<string, PgpKeys>,
  signal: AbortSignal,
): Promise<Guess<string> | undefined> {
  const closed = await failureOf(source, object, { privateKeyBlocks: [] }, signal);
  if (closed === undefined || closed.code === "not_encrypted") return undefined;
  // What no key opens, for an algorithm or for damage, is a message all the same.
  if (!NOT_OPENED.includes(closed.code)) {
    if (closed.stage !== "decrypt" || !isMessage(closed)) return undefined;
    throw closed;
  }
  const recipients = closed.seen ?? "an encrypted OpenPGP message";
  let reason = closed;
  for (const [id, held] of keys) {
    const failure = await failureOf(source, object, held, signal);
    if (failure === undefined) return guess(id, 1, `${recipients}; this credential opens it`);
    reason = failure;
  }
  // Control gives those credentials alone that may open it.
  if (keys.size === 0 && closed.code === "no_matching_key") {
    const message = `The message is ${recipients}; no PGP credential holds what opens it.`;
    throw new StageError("decrypt", "no_matching_key", message, { seen: recipients });
  }
  if (keys.size <= 1) throw reason;
  const message = `The message is ${recipients}; none of the ${keys.size} PGP credentials opens it.`;
  throw new StageError("decrypt", "no_matching_key", message, { seen: recipients });
}

const isMessage = ({ code }: StageError): boolean =>
  code === "unsupported_algorithm" || code === "no_integrity_protection";

/** Why the object's first bytes cannot be decrypted; undefined when they can. */
async function failureOf(
  source: S3Source,
  object: ManifestObject,
  keys: PgpKeys,
  signal: AbortSignal,
): Promise<StageError | undefined> {
  try {
    for await (const _ of decrypt({ keys })(source.read(object, { signal }))) break;
    return undefined;
  } catch (error) {
    if (!(error instanceof StageError) || error.stage !== "decrypt") throw error;
    return error;
  }
}

/** By magic numbers; brotli and deflate, which have none, by trying. */
async function inferCompression(
  head: Uint8Array,
  key: string,
): Promise<Guess<FileSettings["compression"]>> {
  const container = containerOf(head);
  const known = COMPRESSIONS.find((compression) => compression === container);
  if (known !== undefined) return guess(known, 0.99, `the bytes begin as ${known} does`);
  const plain = guess("auto" as const, 0.95, "the bytes begin no compression that has a mark");
  if (container !== undefined || isPlain(head)) return plain;
  const [first = 0, second = 0] = head;
  const isZlib = (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0;
  if (isZlib && (await opens(head, "deflate"))) {
    return guess("deflate", 0.9, "the bytes have the header of zlib's format, and inflate");
  }
  if (await opens(head, "brotli")) {
    const isNamed = /\.br(\.pgp|\.gpg)?$/i.test(key);
    return guess("brotli", isNamed ? 0.9 : 0.6, "the bytes can be read as brotli, and hold text");
  }
  return plain;
}

const isText = (bytes: Uint8Array): boolean =>
  bytes.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));

const isPlain = (head: Uint8Array): boolean =>
  head.byteLength === 0 ||
  isText(head.subarray(0, 512)) ||
  ["PAR1", "Obj\u0001"].includes(Buffer.from(head.subarray(0, 4)).toString("latin1"));

/** Whether the head of a stream gives something that looks like data; where it ends does not matter. */
async function opens(head: Uint8Array, compression: "brotli" | "deflate"): Promise<boolean> {
  async function* only(): AsyncGenerator<Uint8Array> {
    yield head;
  }
  try {
    for await (const chunk of decompress({ compression })(only())) {
      return chunk.byteLength > 0 && isPlain(chunk);
    }
    return false;
  } catch {
    // Bytes that are not of the compression, or too few of them, say so by an error: that is the answer.
    return false;
  }
}
