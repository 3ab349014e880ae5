import { JsonSettings_Shape } from "@sluice/api/control/v1/file_settings_pb";
import type { FileSettings } from "../../e2e/story.ts";
import type { BenchStack } from "../bench-stack.ts";
import { SIX, selectRows } from "../data/columns.ts";
import { createFileMaker, linesOf, RAW_CSV } from "../data/make-files.ts";
import {
  gzipMembers,
  gzipped,
  pgpMessage,
  repeated,
  repeatedRowGroups,
} from "../generated-objects.ts";
import type { GeneratedObject } from "../generated-store.ts";
import { atMost, type Spread, spreadOf } from "../result.ts";
import type { Latency } from "./index.ts";

const SIZE = 5 * 2 ** 30;
const MAX_MS = 1_000;
const PASSPHRASE = "open sesame";
/** Rows of the block that is there again and again. */
const ROWS = 20_000;

/** A file's beginning, and what comes after it again and again. */
interface Parts {
  readonly name: string;
  readonly format: FileSettings["format"];
  readonly head: Buffer;
  readonly block: Buffer;
}

/** A preview of the head of an object of 5 GiB, which is made while it is read: every format, plain and in two layers. */
export const PREVIEW: Latency = {
  name: "preview",
  async measure(stack, { rounds, tell }) {
    const credentialId = await credentialOf(stack);
    const { credential } = await stack.story.credentials.createCredential({
      credential: {
        name: "bench phrase",
        kind: { case: "pgp", value: { passphrase: PASSPHRASE } },
      },
    });
    const encryption = { case: "pgp", value: { credentialId: credential?.id ?? "" } } as const;
    const ms: Record<string, Spread> = {};
    const refused: Record<string, string> = {};
    for (const { name, object, settings, isPgp } of await objects(stack)) {
      stack.generated.objects.set("preview", object);
      const found: number[] = [];
      for (let round = 0; round <= rounds && refused[name] === undefined; round++) {
        const began = performance.now();
        const { preview } = await stack.story.sources.previewObject({
          credentialId,
          key: "preview",
          settings: isPgp ? { ...settings, encryption } : settings,
        });
        const took = performance.now() - began;
        if (preview?.content.case !== "table") {
          refused[name] = preview?.failure?.message ?? "no table came";
        } else if (round > 0) found.push(took);
      }
      tell(`preview, ${name}: ${refused[name] ?? `${spreadOf(found).median.toFixed(0)} ms`}`);
      if (refused[name] === undefined) ms[name] = spreadOf(found);
    }
    stack.generated.objects.clear();
    const highest = Math.max(...Object.values(ms).map(({ median }) => median));
    return {
      kind: "latency",
      case: "preview",
      data: "a preview of an object of 5 GiB: each format plain, in gzip, in OpenPGP",
      ms,
      refused,
      checks: [
        atMost("ms of the slowest preview", highest, MAX_MS),
        atMost("previews refused", Object.keys(refused).length, 0),
      ],
    };
  },
};

async function credentialOf({ story, generated: { url, bucket } }: BenchStack): Promise<string> {
  const value = { accessKeyId: "any", secretAccessKey: "any", bucket, endpoint: url };
  const { credential } = await story.credentials.createCredential({
    credential: { name: "generated", kind: { case: "accessKey", value } },
  });
  return credential?.id ?? "";
}

interface Previewed {
  readonly name: string;
  readonly object: GeneratedObject;
  readonly settings: FileSettings;
  readonly isPgp: boolean;
}

async function objects(stack: BenchStack): Promise<Previewed[]> {
  const parts = await streamed(stack);
  const parquet = repeatedRowGroups(
    await bytesOf(
      stack,
      `${selectRows(SIX, 1_000_000)} FORMAT Parquet SETTINGS output_format_parquet_row_group_size = 1000000, output_format_parquet_row_group_size_bytes = 1000000000, output_format_parquet_parallel_encoding = 0`,
    ),
    SIZE,
  );
  const parquetSettings: FileSettings = { format: { case: "parquet", value: {} } };
  const named = (name: string, object: GeneratedObject, settings: FileSettings): Previewed[] => [
    { name, object, settings, isPgp: false },
    { name: `${name}, PGP`, object: pgpMessage(object, PASSPHRASE), settings, isPgp: true },
  ];
  return [
    ...parts.flatMap(({ name, format, head, block }) => [
      ...named(name, repeated(head, block, SIZE), { format } as FileSettings),
      {
        name: `${name}, gzip`,
        object: gzipMembers(head, block, SIZE),
        settings: { format } as FileSettings,
        isPgp: false,
      },
    ]),
    ...named("Parquet", parquet, parquetSettings),
    {
      name: "Parquet, gzip",
      object: gzipped(parquet),
      settings: parquetSettings,
      isPgp: false,
    },
  ];
}

/** The formats that are read from the front. */
async function streamed(stack: BenchStack): Promise<Parts[]> {
  const rows = selectRows(SIX, ROWS);
  const json = "SETTINGS output_format_json_quote_64bit_integers = 0";
  const csv = await bytesOf(stack, `${rows} ${RAW_CSV}`);
  const csvHead = csv.indexOf(10) + 1;
  const ndjson = await bytesOf(stack, `${rows} FORMAT JSONEachRow ${json}`);
  const elements = SIX.map(({ name, value }) => `'<${name}>', toString(${value}), '</${name}>'`);
  const xml = linesOf(`concat('<row>', ${elements.join(", ")}, '</row>')`, `numbers(${ROWS})`, [
    "",
    "",
  ]);
  const avro = await bytesOf(
    stack,
    `${rows} FORMAT Avro SETTINGS output_format_avro_codec = 'snappy'`,
  );
  // The head ends with the first of the marks that stand behind every block; the file ends with one.
  const avroHead = avro.indexOf(avro.subarray(-16)) + 16;
  return [
    {
      name: "CSV",
      format: { case: "delimited", value: {} },
      head: csv.subarray(0, csvHead),
      block: csv.subarray(csvHead),
    },
    {
      name: "NDJSON",
      format: { case: "json", value: { shape: JsonSettings_Shape.LINES } },
      head: Buffer.alloc(0),
      block: ndjson,
    },
    {
      name: "JSON",
      format: { case: "json", value: {} },
      head: Buffer.from("["),
      block: Buffer.from(ndjson.toString().replaceAll("\n", ",\n")),
    },
    {
      name: "XML",
      format: { case: "xml", value: { rowElement: "row" } },
      head: Buffer.from("<rows>\n"),
      block: await bytesOf(stack, xml),
    },
    {
      name: "Avro",
      format: { case: "avro", value: {} },
      head: avro.subarray(0, avroHead),
      block: avro.subarray(avroHead),
    },
  ];
}

async function bytesOf({ clickhouse }: BenchStack, query: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(await createFileMaker(clickhouse).stream(query)));
}
