import fc from "fast-check";
import { expect, test } from "vitest";
import { logical, one } from "./avro-file.ts";

/** The shortest two's complement of a number, with `more` bytes that repeat its sign. */
function bytesOf(value: bigint, more: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  do {
    bytes.unshift(Number(left & 0xffn));
    left >>= 8n;
  } while (left !== 0n && left !== -1n);
  const isSigned = (bytes[0] ?? 0) >= 0x80;
  if (isSigned !== value < 0n) bytes.unshift(value < 0n ? 0xff : 0);
  return Buffer.from([...new Array<number>(more).fill(value < 0n ? 0xff : 0), ...bytes]);
}

function written(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const at = digits.length - scale;
  const point = scale === 0 ? digits : `${digits.slice(0, at)}.${digits.slice(at)}`;
  return value < 0n ? `-${point}` : point;
}

test("decimals of any size and scale are written digit by digit as they are", async () => {
  // Those that become numbers of JavaScript, and those that do not, with what lies at the border.
  const value = fc.oneof(
    fc.bigInt({ min: -300n, max: 300n }),
    fc.bigInt({ min: -(2n ** 49n), max: 2n ** 49n }),
    fc.constantFrom(
      2n ** 47n - 1n,
      2n ** 47n,
      -(2n ** 47n),
      -(2n ** 47n) - 1n,
      10n ** 8n,
      10n ** 14n,
    ),
    fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
  );
  await fc.assert(
    fc.asyncProperty(value, fc.nat({ max: 76 }), fc.nat({ max: 4 }), async (given, scale, more) => {
      const type = logical("bytes", "decimal", { precision: 76, scale });
      const table = await one({ v: [type, bytesOf(given, more)], after: ["string", "x"] });
      expect(table.rows).toEqual([[written(given, scale), "x"]]);
    }),
    { numRuns: 500 },
  );
});
