import type { JsonSettings } from "@sluice/schema";
import { parseJson } from "../src/index.ts";

/**
 * How fast JSON lines become columns, in MB for each CPU second of the whole process.
 *
 *   node bench/json.ts [rounds, 5] [part of a case's name]
 */
const rounds = Number(process.argv[2] ?? 5);
const only = process.argv[3] ?? "";
const hash = (number: number): number => Math.imul(number ^ (number >>> 15), 0x2c1b3c6d) >>> 0;
const hex = (number: number): string => hash(number).toString(16).padStart(8, "0");
const NAMES = ["Anna", "Ben", "Chloe", "David", "Emma", "Finn", "Grace", "Hugo"];
const SIX = "id name email amount day seen".split(" ").map((incomingName) => ({ incomingName }));
const NESTED = [
  "order_id",
  "lines.line",
  "customer.name",
  "customer.address.city",
  "lines.sku",
  "lines.price",
].map((path) => ({ incomingName: path, path }));

const flat = (i: number): string =>
  `{"id":${i},"name":"${NAMES[hash(i) % 8]} ${hex(i)}","email":"${hex(i + 1)}${hex(i + 2)}@example.com","amount":${hash(i) % 100_000}.${10 + (i % 90)},"day":"2022-0${1 + (i % 9)}-1${i % 10}","seen":"2024-06-11 13:05:${10 + (i % 50)}.123456"}`;

const CASES: readonly {
  readonly name: string;
  readonly line: (i: number) => string;
  readonly fields: typeof SIX;
  readonly explodePath?: string;
}[] = [
  { name: "flat", line: flat, fields: SIX },
  {
    name: "members left out",
    line: (i) => (i % 3 === 0 ? flat(i).replace(/"email":"[^"]*",/, "") : flat(i)),
    fields: SIX,
  },
  {
    name: "escapes",
    line: (i) => flat(i).replace("@", "\\/\\u00e9").replace(" ", "\\n"),
    fields: SIX,
  },
  { name: "new names", line: (i) => flat(i).replace('"day"', `"day${i}"`), fields: SIX },
  {
    name: "exploded",
    line: (i) =>
      `{"order_id":${i},"customer":{"name":"customer ${hex(i)}","address":{"city":"Berlin","zip":"${hex(i)}"}},"lines":[${[1, 2, 3].map((line) => `{"line":${line},"sku":"sku-${hex(i + line)}","count":${i % 20},"price":${hash(i) % 1000}.25}`).join(",")}]}`,
    fields: NESTED,
    explodePath: "lines",
  },
];

for (const { name, line, fields, explodePath = "" } of CASES) {
  if (!name.includes(only)) continue;
  const text = Buffer.from(Array.from({ length: 60_000 }, (_, i) => `${line(i)}\n`).join(""));
  async function* source(): AsyncGenerator<Uint8Array> {
    for (let turn = 0; turn < 8; turn++) {
      for (let at = 0; at < text.length; at += 262_144) yield text.subarray(at, at + 262_144);
    }
  }
  const settings: JsonSettings = { kind: "json", shape: "lines", recordPath: "", explodePath };
  const rates: number[] = [];
  let rows = 0;
  for (let round = 0; round < rounds; round++) {
    const cpu = process.cpuUsage();
    rows = 0;
    const { blocks } = await parseJson(settings, fields)(source());
    for await (const block of blocks) rows += block.rows;
    const { user, system } = process.cpuUsage(cpu);
    rates.push((text.length * 8) / (user + system));
  }
  const sorted = rates.toSorted((a, b) => a - b).map((rate) => rate.toFixed(0));
  console.log(
    `${name}: ${sorted[sorted.length >> 1]} (${sorted.at(0)}-${sorted.at(-1)}) MB per CPU-s, ${rows} rows`,
  );
}
