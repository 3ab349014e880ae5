import { BATCH_LIMITS, type BatchLimits } from "@sluice/batch";
import {
  ARCHIVE_LIMITS,
  type ArchiveLimits,
  DECOMPRESS_LIMITS,
  type DecompressLimits,
} from "@sluice/decompress";
import { DECRYPT_LIMITS, type DecryptLimits, decryptLimitsOf } from "@sluice/decrypt";
import { type FetchLimits, fetchLimits } from "@sluice/fetch";
import {
  AVRO_LIMITS,
  type AvroLimits,
  DELIMITED_LIMITS,
  type DelimitedLimits,
  JSON_LIMITS,
  type JsonLimits,
  PARQUET_LIMITS,
  type ParquetLimits,
  XML_LIMITS,
  type XmlLimits,
} from "@sluice/parse";

interface AllLimits {
  readonly fetch: FetchLimits;
  readonly decrypt: DecryptLimits;
  readonly decompress: DecompressLimits;
  readonly archive: ArchiveLimits;
  readonly delimited: DelimitedLimits;
  readonly json: JsonLimits;
  readonly xml: XmlLimits;
  readonly avro: AvroLimits;
  readonly parquet: ParquetLimits;
  readonly batch: BatchLimits;
}

const DEFAULTS: AllLimits = {
  fetch: fetchLimits({}),
  decrypt: DECRYPT_LIMITS,
  decompress: DECOMPRESS_LIMITS,
  archive: ARCHIVE_LIMITS,
  delimited: DELIMITED_LIMITS,
  json: JSON_LIMITS,
  xml: XML_LIMITS,
  avro: AVRO_LIMITS,
  parquet: PARQUET_LIMITS,
  batch: BATCH_LIMITS,
};

/** What the operator sets otherwise than the stages themselves, by stage. */
export type StageLimits = {
  readonly [Stage in keyof AllLimits]: Partial<AllLimits[Stage]>;
};

const NAMES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(DEFAULTS).map(([stage, limits]) => [stage, Object.keys(limits)]),
);

const NONE: StageLimits = {
  fetch: {},
  decrypt: {},
  decompress: {},
  archive: {},
  delimited: {},
  json: {},
  xml: {},
  avro: {},
  parquet: {},
  batch: {},
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
  for (const [stage, limits] of Object.entries(given)) {
    const names = NAMES.get(stage);
    if (names === undefined || typeof limits !== "object" || limits === null) {
      throw new Error(
        `SLUICE_LIMITS names "${stage}"; it takes limits of ${[...NAMES.keys()].join(", ")}`,
      );
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
  const chosen: StageLimits = { ...NONE, ...given };
  try {
    // The one stage that takes less than any whole number says so now, not at the first message.
    decryptLimitsOf(chosen.decrypt);
  } catch (error) {
    throw new Error(`SLUICE_LIMITS is wrong for decrypt: ${(error as RangeError).message}`, {
      cause: error,
    });
  }
  return chosen;
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
