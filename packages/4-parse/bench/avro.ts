import { parseAvro } from "../src/index.ts";
import { container, long, text } from "../test/avro-file.ts";

/**
 * How fast Avro becomes columns, in MB of the file for each CPU second of the whole process.
 *
 *   node bench/avro.ts [rounds, 5]
 */
const rounds = Number(process.argv[2] ?? 5);
const SCHEMA = {
  type: "record",
  name: "row",
  fields: [
    { name: "id", type: "long" },
    { name: "name", type: "string" },
    {
      name: "amount",
      type: { type: "fixed", name: "d", size: 8, logicalType: "decimal", precision: 12, scale: 2 },
    },
    { name: "day", type: { type: "int", logicalType: "date" } },
    { name: "seen", type: { type: "long", logicalType: "timestamp-micros" } },
  ],
};
const fields = SCHEMA.fields.map(({ name }) => ({ incomingName: name }));
const hash = (number: number): number => Math.imul(number ^ (number >>> 15), 0x2c1b3c6d) >>> 0;

function record(i: number): Buffer {
  const amount = Buffer.alloc(8);
  amount.writeBigInt64BE(BigInt((hash(i) % 10_000_000) - 1_000_000));
  const name = text(`name ${hash(i).toString(16)}`);
  const seen = long(1_704_067_200_000_000 + hash(i) * 1000);
  return Buffer.concat([long(i), name, amount, long(18_000 + (i % 2000)), seen]);
}

const data = Buffer.concat(Array.from({ length: 20_000 }, (_, i) => record(i)));
for (const codec of ["null", "snappy"]) {
  const block = { count: 20_000, data };
  const { bytes } = container(SCHEMA, new Array<typeof block>(40).fill(block), codec);
  async function* source(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 262_144) yield bytes.subarray(at, at + 262_144);
  }
  const rates: number[] = [];
  let rows = 0;
  for (let round = 0; round < rounds; round++) {
    const cpu = process.cpuUsage();
    rows = 0;
    const { blocks } = await parseAvro(fields)(source());
    for await (const block of blocks) rows += block.rows;
    const { user, system } = process.cpuUsage(cpu);
    rates.push((data.length * 40) / (user + system));
  }
  const sorted = rates.toSorted((a, b) => a - b).map((rate) => rate.toFixed(0));
  const [least, most] = [sorted.at(0), sorted.at(-1)];
  console.log(
    `${codec}: ${sorted[rounds >> 1]} (${least}-${most}) MB opened per CPU-s, ${rows} rows`,
  );
}
