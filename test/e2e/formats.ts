import {
  DelimitedSettings_Encoding,
  JsonSettings_Shape,
} from "@sluice/api/control/v1/file_settings_pb";
import avro from "avsc";
import { parquetWriteBuffer } from "hyparquet-writer";
import { LONG } from "../corpora/avsc-long.ts";
import type { FileSettings } from "./story.ts";

/** The same three rows in every format that the guide's table has a row for. */
export interface Format {
  readonly name: string;
  readonly settings: FileSettings;
  readonly bytes: () => Promise<Uint8Array>;
}

export const RECORDS = [
  { id: 1, name: "Jörg, the 1st", amount: 12.5, day: "2024-02-29" },
  { id: 2, name: 'says "hi" & <bye>', amount: -7, day: "2025-01-31" },
  { id: 9007199254740993n, name: "Ünïcödé\u00a0", amount: 0.25, day: "2026-11-20" },
] as const;

const COLUMNS = ["id", "name", "amount", "day"] as const;

function delimited(delimiter: string): string {
  const quoted = (value: unknown): string => `"${String(value).replaceAll('"', '""')}"`;
  const lines = RECORDS.map((record) =>
    COLUMNS.map((name) => quoted(record[name])).join(delimiter),
  );
  return `${[COLUMNS.join(delimiter), ...lines].join("\n")}\n`;
}

const jsonOf = (record: (typeof RECORDS)[number]): string =>
  `{"id":${record.id},"name":${JSON.stringify(record.name)},"amount":${record.amount},"day":"${record.day}"}`;

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const text = (name: string, content: string, format: FileSettings["format"]): Format => ({
  name,
  settings: { format } as FileSettings,
  bytes: async () => Buffer.from(content),
});

const csv = (name: string, delimiter: string): Format =>
  text(name, delimited(delimiter), { case: "delimited", value: { delimiter } });

const encoded = (name: string, encoding: DelimitedSettings_Encoding, bytes: Buffer): Format => ({
  name,
  settings: { format: { case: "delimited", value: { encoding } } },
  bytes: async () => bytes,
});

const utf16 = Buffer.from(`\ufeff${delimited(",")}`, "utf16le");

/** Every format, in the table's order. */
export const FORMATS: readonly Format[] = [
  csv("CSV", ","),
  csv("TSV", "\t"),
  csv("PSV", "|"),
  csv("DSV (any delimiter)", "~|~"),
  encoded("CSV in UTF-16", DelimitedSettings_Encoding.UTF_8, utf16),
  encoded(
    "CSV in Windows-1252",
    DelimitedSettings_Encoding.WINDOWS_1252,
    Buffer.from(delimited(","), "latin1"),
  ),
  text("JSON", `[${RECORDS.map(jsonOf).join(",\n")}]`, { case: "json", value: {} }),
  text("NDJSON", RECORDS.map((record) => `${jsonOf(record)}\n`).join(""), {
    case: "json",
    value: { shape: JsonSettings_Shape.LINES },
  }),
  text("concatenated JSON", RECORDS.map(jsonOf).join(" "), {
    case: "json",
    value: { shape: JsonSettings_Shape.CONCATENATED },
  }),
  text(
    "XML",
    `<?xml version="1.0"?><rows>${RECORDS.map(
      ({ id, name, amount, day }) =>
        `<row><id>${id}</id><name>${escaped(name)}</name><amount>${amount}</amount><day>${day}</day></row>`,
    ).join("")}</rows>`,
    { case: "xml", value: {} },
  ),
  { name: "Avro", settings: { format: { case: "avro", value: {} } }, bytes: avroBytes },
  { name: "Parquet", settings: { format: { case: "parquet", value: {} } }, bytes: parquetBytes },
];

async function avroBytes(): Promise<Uint8Array> {
  const type = avro.Type.forSchema(
    {
      type: "record",
      name: "Payment",
      fields: [
        { name: "id", type: "long" },
        { name: "name", type: "string" },
        { name: "amount", type: "double" },
        { name: "day", type: "string" },
      ],
    },
    { registry: { long: LONG } },
  );
  const encoder = new avro.streams.BlockEncoder(type);
  for (const record of RECORDS) encoder.write({ ...record, id: BigInt(record.id) });
  encoder.end();
  const parts: Buffer[] = [];
  for await (const part of encoder) parts.push(part);
  return Buffer.concat(parts);
}

async function parquetBytes(): Promise<Uint8Array> {
  return new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "id", data: RECORDS.map(({ id }) => BigInt(id)), type: "INT64" },
        { name: "name", data: RECORDS.map(({ name }) => name), type: "STRING" },
        { name: "amount", data: RECORDS.map(({ amount }) => amount), type: "DOUBLE" },
        { name: "day", data: RECORDS.map(({ day }) => day), type: "STRING" },
      ],
    }),
  );
}
