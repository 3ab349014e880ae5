import {
  ARCHIVE_LIMITS,
  type ArchiveLimits,
  DECOMPRESS_LIMITS,
  type DecompressLimits,
} from "@sluice/decompress";
import { DECRYPT_LIMITS, type DecryptLimits } from "@sluice/decrypt";
import {
  AVRO_LIMITS,
  type AvroLimits,
  DELIMITED_LIMITS,
  type DelimitedLimits,
  JSON_LIMITS,
  type JsonLimits,
  type ParquetOptions,
  XML_LIMITS,
  type XmlLimits,
} from "@sluice/parse";

type ParquetLimits = Omit<ParquetOptions, "size" | "readRange" | "route">;

/** What the operator sets otherwise than the stages themselves, by stage. */
export interface StageLimits {
  readonly decrypt: Partial<DecryptLimits>;
  readonly decompress: Partial<DecompressLimits>;
  readonly archive: Partial<ArchiveLimits>;
  readonly delimited: Partial<DelimitedLimits>;
  readonly json: Partial<JsonLimits>;
  readonly xml: Partial<XmlLimits>;
  readonly avro: Partial<AvroLimits>;
  readonly parquet: ParquetLimits;
}

const PARQUET_LIMITS: Readonly<Record<keyof ParquetLimits, true>> = {
  maxFooterBytes: true,
  maxRowGroupBytes: true,
  maxSchemaDepth: true,
  maxDecodedRowGroupBytes: true,
  maxPageBytes: true,
  maxDecoderBytes: true,
  decodeTimeoutMs: true,
};

const NAMES: Readonly<Record<keyof StageLimits, readonly string[]>> = {
  decrypt: Object.keys(DECRYPT_LIMITS),
  decompress: Object.keys(DECOMPRESS_LIMITS),
  archive: Object.keys(ARCHIVE_LIMITS),
  delimited: Object.keys(DELIMITED_LIMITS),
  json: Object.keys(JSON_LIMITS),
  xml: Object.keys(XML_LIMITS),
  avro: Object.keys(AVRO_LIMITS),
  parquet: Object.keys(PARQUET_LIMITS),
};

const NONE: StageLimits = {
  decrypt: {},
  decompress: {},
  archive: {},
  delimited: {},
  json: {},
  xml: {},
  avro: {},
  parquet: {},
};

/**
 * Reads SLUICE_LIMITS: JSON of whole numbers by stage and name. Throws one error of one line for anything else, with
 * the names that there are.
 */
export function readLimits(text: string): StageLimits {
  if (text === "") return NONE;
  const given = parseObject(text);
  if (given === undefined) {
    throw new Error('SLUICE_LIMITS takes JSON like {"json": {"maxRecordBytes": 33554432}}');
  }
  const stages = Object.keys(NAMES);
  for (const [stage, limits] of Object.entries(given)) {
    const names = Object.entries(NAMES).find(([name]) => name === stage)?.[1];
    if (names === undefined || typeof limits !== "object" || limits === null) {
      throw new Error(`SLUICE_LIMITS names "${stage}"; it takes limits of ${stages.join(", ")}`);
    }
    for (const [name, value] of Object.entries(limits)) {
      if (!names.includes(name)) {
        throw new Error(`SLUICE_LIMITS names ${stage}.${name}; there is ${names.join(", ")}`);
      }
      if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
        throw new Error(`SLUICE_LIMITS takes a whole number for ${stage}.${name}`);
      }
    }
  }
  return { ...NONE, ...given };
}

function parseObject(text: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isObject ? parsed : undefined;
  } catch {
    // Said by the caller, in words for whoever wrote the setting.
    return undefined;
  }
}
