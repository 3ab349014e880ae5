import { randomBytes } from "node:crypto";
import { decrypt } from "../src/index.ts";
import {
  joined,
  literalOf,
  type Pieces,
  sealHashed,
  sealPieces,
  sessionKeyFor,
  zippedOf,
} from "../test/made-messages.ts";

/**
 * How fast messages are decrypted, in MB of plaintext a second and CPU time, and what memory that takes.
 * The message is made as it is read, in the same process: the time without decrypting is shown beside.
 *
 *   node bench/decrypt.ts [MiB of plaintext, 1024] [part of a case's name]
 */
const pieces = Number(process.argv[2] ?? 1024);
const only = process.argv[3] ?? "";
const rows = Array.from(
  { length: 40_000 },
  (_, i) => `${i},${(i * 7919) % 10_007},${randomBytes(6).toString("hex")},row\n`,
);
const PIECE = Buffer.from(rows.join("")).subarray(0, 2 ** 20);
const passphrase = "secret";

async function message(name: string): Promise<AsyncIterable<Uint8Array>> {
  const mode: Pieces | undefined = name.startsWith("SEIPD 1")
    ? undefined
    : { mode: name.includes("GCM") ? "gcm" : "ocb", chunkOctet: 12 };
  const { sessionKey, packet } = await sessionKeyFor({ password: passphrase }, mode !== undefined);
  const packets = name.includes("packed") ? zippedOf(PIECE, pieces) : literalOf(PIECE, pieces);
  const data =
    mode === undefined ? sealHashed(sessionKey, packets) : sealPieces(sessionKey, packets, mode);
  return joined(packet, data);
}

async function run(source: AsyncIterable<Uint8Array>): Promise<readonly [number, number, number]> {
  const started = performance.now();
  const cpu = process.cpuUsage();
  let bytes = 0;
  for await (const chunk of source) bytes += chunk.byteLength;
  const { user, system } = process.cpuUsage(cpu);
  return [bytes, (performance.now() - started) / 1000, (user + system) / 1e6];
}

for (const name of [
  "SEIPD 1",
  "SEIPD 1, packed",
  "SEIPD 2, OCB",
  "SEIPD 2, GCM",
  "SEIPD 2, OCB, packed",
]) {
  if (!name.includes(only)) continue;
  const [, makingSeconds, makingCpu] = await run(await message(name));
  const stage = decrypt({ keys: { privateKeyBlocks: [], passphrase } });
  const [bytes, seconds, cpu] = await run(stage(await message(name)));
  const rate = (over: number): string => (bytes / 1e6 / over).toFixed(0);
  console.log(
    `${name}: ${rate(seconds)} MB/s with making it, ${rate(seconds - makingSeconds)} without; ` +
      `${(cpu - makingCpu).toFixed(2)} CPU-s; highest RSS ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`,
  );
}
