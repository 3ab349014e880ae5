import type { WantedField, XmlSettings } from "@sluice/schema";
import { SaxesParser } from "saxes";
import { parseXml } from "../src/index.ts";

/**
 * How fast XML becomes columns, how fast it does with saxes for all of it, and how fast saxes alone goes over the same bytes, in MB for each CPU second of
 * the whole process, in turn.
 *
 *   node bench/xml.ts [rounds, 5] [part of a case's name] [MB, 60]
 */
const rounds = Number(process.argv[2] ?? 5);
const only = process.argv[3] ?? "";
const megabytes = Number(process.argv[4] ?? 60);
const CHUNK = 65_536;
const hash = (number: number): number => Math.imul(number ^ (number >>> 15), 0x2c1b3c6d) >>> 0;
const hex = (number: number): string => hash(number).toString(16).padStart(8, "0");
const NAMES = ["Anna", "Ben", "Chloe", "David", "Emma", "Finn", "Grace", "Hugo"];
const SIX = "id name email amount day seen".split(" ").map((incomingName) => ({ incomingName }));

const six = (i: number): readonly (readonly [name: string, value: string])[] => [
  ["id", `${i}`],
  ["name", `${NAMES[hash(i) % 8]} ${hex(i)}`],
  ["email", `${hex(i + 1)}${hex(i + 2)}@example.com`],
  ["amount", `${hash(i) % 100_000}.${10 + (i % 90)}`],
  ["day", `2022-0${1 + (i % 9)}-1${i % 10}`],
  ["seen", `2024-06-11 13:05:${10 + (i % 50)}.123456`],
];
const flat = (i: number, between = ""): string =>
  `<row>${six(i)
    .map(([name, value]) => `${between}<${name}>${value}</${name}>`)
    .join("")}${between && "\r\n"}</row>\n`;

const CASES: readonly {
  readonly name: string;
  readonly record: (i: number) => string;
  readonly fields?: readonly WantedField[];
  readonly explodePath?: string;
}[] = [
  { name: "flat", record: (i) => flat(i) },
  { name: "laid out", record: (i) => `  ${flat(i, "\r\n    ")}` },
  {
    name: "attributes",
    record: (i) =>
      `<row ${six(i)
        .map(([name, value]) => `${name}="${value}"`)
        .join(" ")}/>\n`,
    fields: SIX.map(({ incomingName }) => ({ incomingName: `@${incomingName}` })),
  },
  {
    name: "references, CDATA, letters of two bytes",
    record: (i) =>
      flat(i)
        .replace("@", "&amp;&#64;")
        .replace(/<name>(.*)<\/name>/, "<name><![CDATA[é ü <$1>]]></name>"),
  },
  { name: "a comment in each", record: (i) => flat(i).replace("<day>", "<!-- when --><day>") },
  { name: "an instruction in each", record: (i) => flat(i).replace("<day>", "<?when?><day>") },
  { name: "new names", record: (i) => flat(i).replaceAll("day>", `day${i}>`) },
  {
    name: "exploded",
    record: (i) =>
      `<row><order_id>${i}</order_id><customer><name>customer ${hex(i)}</name><address><city>Berlin</city></address></customer><lines>${[
        1, 2, 3,
      ]
        .map(
          (line) =>
            `<line><no>${line}</no><sku>sku-${hex(i + line)}</sku><price>${hash(i) % 1000}.25</price></line>`,
        )
        .join("")}</lines></row>\n`,
    fields: [
      "order_id",
      "customer.name",
      "customer.address.city",
      "lines.line.no",
      "lines.line.sku",
      "lines.line.price",
    ].map((path) => ({ incomingName: path, path })),
    explodePath: "lines.line",
  },
  {
    name: "taken whole",
    record: (i) => `<row><id>${i}</id><all>${flat(i)}</all></row>\n`,
    fields: [{ incomingName: "id" }, { incomingName: "all" }],
  },
];

/** What the peer of the benchmark's case does with each text. */
function saxesAlone(source: Iterable<Uint8Array>): number {
  let records = 0;
  const parser = new SaxesParser();
  parser.on("opentag", () => undefined);
  parser.on("text", () => undefined);
  parser.on("closetag", ({ name }) => {
    if (name === "row") records++;
  });
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (const chunk of source) parser.write(decoder.decode(chunk, { stream: true }));
  parser.close();
  return records;
}

for (const { name, record, fields = SIX, explodePath = "" } of CASES) {
  if (!name.includes(only)) continue;
  const text = Buffer.from(Array.from({ length: 20_000 }, (_, i) => record(i)).join(""));
  const turns = Math.max(1, Math.round((megabytes * 1e6) / text.length));
  function* source(): Generator<Uint8Array> {
    yield Buffer.from('<?xml version="1.0" encoding="UTF-8"?>\n<rows>\n');
    for (let turn = 0; turn < turns; turn++) {
      for (let at = 0; at < text.length; at += CHUNK) yield text.subarray(at, at + CHUNK);
    }
    yield Buffer.from("</rows>\n");
  }
  async function* asked(): AsyncGenerator<Uint8Array> {
    yield* source();
  }
  const settings: XmlSettings = { kind: "xml", rowElement: "row", explodePath };
  const measured = async (work: () => Promise<unknown> | number): Promise<number> => {
    const cpu = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(cpu);
    return (text.length * turns) / (user + system);
  };
  let rows = 0;
  const parse = async (isFast: boolean): Promise<void> => {
    rows = 0;
    const { blocks } = await parseXml(settings, fields, { isFast })(asked());
    for await (const block of blocks) {
      rows += block.rows;
      block.release?.();
    }
  };
  const rates: { ours: number; bySaxes: number; saxes: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const ours = await measured(async () => await parse(true));
    const bySaxes = await measured(async () => await parse(false));
    const saxes = await measured(() => saxesAlone(source()));
    rates.push({ ours, bySaxes, saxes });
  }
  const shown = (values: readonly number[]): string => {
    const sorted = values.toSorted((a, b) => a - b).map((rate) => rate.toFixed(0));
    return `${sorted[sorted.length >> 1]} (${sorted.at(0)}-${sorted.at(-1)})`;
  };
  const ours = shown(rates.map((rate) => rate.ours));
  const bySaxes = shown(rates.map((rate) => rate.bySaxes));
  const saxes = shown(rates.map((rate) => rate.saxes));
  console.log(
    `${name}: ${ours} MB per CPU-s, ${rows} rows; by saxes ${bySaxes}; saxes alone ${saxes}`,
  );
}
