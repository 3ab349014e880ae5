export { AVRO_LIMITS, type AvroLimits } from "./avro/limits.ts";
export { parseAvro } from "./avro/parse-avro.ts";
export { needsCsvParse } from "./csv/dialect.ts";
export { DELIMITED_LIMITS, type DelimitedLimits } from "./csv/limits.ts";
export { parseDelimited } from "./csv/parse-delimited.ts";
export { assertFormat, detectFormat, FORMAT_SNIFF_BYTES } from "./format/assert-format.ts";
export { JSON_LIMITS, type JsonLimits } from "./json/limits.ts";
export { parseJson } from "./json/parse-json.ts";
export type { NestedPlace } from "./parquet/column-type.ts";
export type { ReadRange } from "./parquet/footer.ts";
export { PARQUET_LIMITS, type ParquetLimits } from "./parquet/limits.ts";
export {
  openParquet,
  type ParquetFile,
  type ParquetOptions,
  type UnitOptions,
} from "./parquet/open-parquet.ts";
export type { ParquetRoute } from "./parquet/route.ts";
export { XML_LIMITS, type XmlLimits } from "./xml/limits.ts";
export { parseXml } from "./xml/parse-xml.ts";
