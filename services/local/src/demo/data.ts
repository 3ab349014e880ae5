import { gzipSync } from "node:zlib";
import { createMessage, encrypt, generateKey, readKey } from "openpgp";

/** Rows of the two files; their content is a pure function of the seed. */
export const CUSTOMER_ROWS = 20_000;
export const ORDER_ROWS = 1_000_000;
/** Customers whose birthdate is no date: they are rejected, and stay below the feed's threshold of 1 %. */
export const BROKEN_CUSTOMERS = 20;

const SEED = 20_261_122;
const GIVEN_NAMES = ["Ada", "Björn", "Chloé", "Dmitri", "Élodie", "Farah", "Grace", "日向"];
const SURNAMES = ["Lovelace", "Müller", "O'Hara", "Smith, Jr.", 'van "der" Berg', "Nguyễn"];

/** A small generator of numbers from 0 to 1 (mulberry32): the same seed gives the same numbers for ever. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Customers as CSV: quotes, commas and letters of many alphabets inside values. */
export function customersCsv(): string {
  const random = createRandom(SEED);
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? "";
  const quote = (text: string): string =>
    /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const two = (n: number): string => String(n).padStart(2, "0");
  const brokenEvery = CUSTOMER_ROWS / BROKEN_CUSTOMERS;
  const lines = ["id,given_name,surname,email,birthdate,loyalty_points,newsletter"];
  for (let id = 1; id <= CUSTOMER_ROWS; id++) {
    const birthdate =
      id % brokenEvery === 0
        ? "unknown"
        : `${1940 + Math.floor(random() * 65)}-${two(1 + Math.floor(random() * 12))}-${two(1 + Math.floor(random() * 28))}`;
    const values = [
      id,
      quote(pick(GIVEN_NAMES)),
      quote(pick(SURNAMES)),
      `customer${id}@example.com`,
      birthdate,
      Math.floor(random() * 100_000),
      random() < 0.5 ? "yes" : "no",
    ];
    lines.push(values.join(","));
  }
  return `${lines.join("\n")}\n`;
}

export interface KeyPair {
  readonly publicKey: string;
  readonly privateKey: string;
  readonly passphrase: string;
}

/** A new OpenPGP key; its private half is locked by the passphrase. */
export async function createKeyPair(name: string): Promise<KeyPair> {
  const passphrase = `passphrase of ${name}`;
  const { publicKey, privateKey } = await generateKey({
    type: "curve25519",
    userIDs: [{ name, email: "demo@example.com" }],
    passphrase,
    format: "armored",
  });
  return { publicKey, privateKey, passphrase };
}

/** The text as a customer would send it: compressed by gzip, then encrypted to the public key. */
export async function gzipAndEncrypt(text: string, publicKey: string): Promise<Uint8Array> {
  const encrypted = await encrypt({
    message: await createMessage({ binary: new Uint8Array(gzipSync(text)) }),
    encryptionKeys: await readKey({ armoredKey: publicKey }),
    format: "binary",
  });
  if (typeof encrypted === "string") throw new Error("the message came armored");
  return encrypted;
}

/** The orders as ClickHouse makes them, in the types that the domain table has. */
export const ORDERS_QUERY: string = `
  SELECT toInt64(number + 1) AS order_id,
         toInt64(1 + cityHash64(number, ${SEED}) % ${CUSTOMER_ROWS}) AS customer_id,
         toDateTime64(1735689600 + number % 31536000, 3, 'UTC') AS ordered_at,
         toDecimal64((cityHash64(number, ${SEED + 1}) % 1000000) / 100, 2) AS amount,
         ['EUR', 'USD', 'GBP', 'JPY'][1 + number % 4] AS currency,
         number % 3 != 0 AS paid
  FROM numbers(${ORDER_ROWS})`;

/** One number for all values of a table or query of orders; the order of rows does not matter. */
export const ORDERS_DIGEST = `count() AS rows, toString(sum(cityHash64(
  toString(order_id), ifNull(toString(customer_id), ''), ifNull(toString(toUnixTimestamp64Milli(ordered_at)), ''),
  ifNull(toString(amount), ''), ifNull(currency, ''), ifNull(toString(toUInt8(paid)), '')))) AS digest`;
