import type { BenchCase } from "../bench-case.ts";
import { COLUMNAR } from "./columnar.ts";
import { DELIMITED } from "./delimited.ts";
import { DOCUMENTS } from "./documents.ts";
import { WRAPPED } from "./wrapped.ts";

const ORDER = [
  "parquet",
  "parquet-wide",
  "csv",
  "csv-gz",
  "csv-quoted",
  "csv-wide",
  "ndjson",
  "json-nested",
  "avro",
  "xml",
  "csv-gz-pgp",
  "parquet-pgp",
  "zip-csv",
  "small-files",
  "rejects",
];

/** All loads that are measured beside a peer, in the order of the table. */
export const CASES: readonly BenchCase[] = [
  ...COLUMNAR,
  ...DELIMITED,
  ...DOCUMENTS,
  ...WRAPPED,
].sort((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name));
