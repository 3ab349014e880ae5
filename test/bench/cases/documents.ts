import { join } from "node:path";
import { JsonSettings_Shape } from "@sluice/api/control/v1/file_settings_pb";
import { type BenchCase, KEY } from "../bench-case.ts";
import { cachedData } from "../data/cached-data.ts";
import {
  amount,
  chance,
  column,
  type DataColumn,
  hexText,
  SIX,
  selectRows,
} from "../data/columns.ts";
import { linesOf } from "../data/make-files.ts";
import { s3Peer, s3Table } from "../peers.ts";
import { saxesPeer } from "../saxes-peer.ts";

const JSON_LINES = { shape: JsonSettings_Shape.LINES } as const;
const UNQUOTED =
  "output_format_json_quote_64bit_integers = 0, output_format_json_quote_decimals = 0";

/** A line of an order: its number within the order, and values that follow from both numbers. */
const LINE_TYPE = "Tuple(line Int64, sku String, count Int64, price Decimal(12, 2))";
const LINES = `arrayMap(line -> CAST((line, concat('sku-', ${hexText(11, 8, "(number, line)")}), 1 + ${chance(12, "(number, line)")} % 20, ${amount(13, "(number, line)")}) AS ${LINE_TYPE}), range(1, toUInt64(2 + number % 5)))`;
const CUSTOMER_TYPE = "Tuple(name String, address Tuple(city String, zip String))";
const CUSTOMER = `CAST((concat('customer ', ${hexText(14, 8)}), (arrayElement(['Berlin', 'Oslo', 'Turin', 'Lyon', 'Graz'], 1 + ${chance(15)} % 5), ${hexText(16, 5)})) AS ${CUSTOMER_TYPE})`;

const nested = (
  name: string,
  type: "Int64" | "String" | "Decimal(12, 2)",
  path: string,
): DataColumn => column(name, type, name, path);

/** Three objects deep, and the array of lines as rows. */
const ORDER_LINES: readonly DataColumn[] = [
  nested("order_id", "Int64", "order_id"),
  nested("line", "Int64", "lines.line"),
  nested("customer", "String", "customer.name"),
  nested("city", "String", "customer.address.city"),
  nested("zip", "String", "customer.address.zip"),
  nested("sku", "String", "lines.sku"),
  nested("count", "Int64", "lines.count"),
  nested("price", "Decimal(12, 2)", "lines.price"),
];

const ORDER_TYPE = `Tuple(order_id Int64, customer ${CUSTOMER_TYPE}, lines Array(${LINE_TYPE}))`;

export const DOCUMENTS: readonly BenchCase[] = [
  {
    name: "ndjson",
    data: "NDJSON, 10 M rows x 6 members",
    toReach: 1.2,
    beyond: 1.5,
    rows: 10_000_000,
    columns: SIX,
    primaryKey: KEY,
    settings: { format: { case: "json", value: JSON_LINES } },
    makeData: async (rows, { files }) =>
      await cachedData({ name: "ndjson", rows, version: 1 }, async (folder) => {
        const query = `${selectRows(SIX, rows)} FORMAT JSONEachRow SETTINGS ${UNQUOTED}`;
        await files.write(query, join(folder, "rows.ndjson"));
      }),
    peer: s3Peer("JSONEachRow"),
  },
  {
    name: "json-nested",
    data: "NDJSON, 2 M orders three objects deep, their arrays exploded into 6 M rows x 8 columns",
    toReach: 1.0,
    beyond: 1.3,
    rows: 2_000_000,
    columns: ORDER_LINES,
    primaryKey: ["order_id", "line"],
    settings: { format: { case: "json", value: { ...JSON_LINES, explodePath: "lines" } } },
    makeData: async (rows, { files }) =>
      await cachedData({ name: "json-nested", rows, version: 1 }, async (folder) => {
        const query = `SELECT toInt64(number) AS order_id, ${CUSTOMER} AS customer, ${LINES} AS lines FROM numbers(${rows}) FORMAT JSONEachRow SETTINGS ${UNQUOTED}`;
        await files.write(query, join(folder, "orders.ndjson"));
      }),
    peer: {
      name: "s3() + JSONExtract in SQL",
      run: async (work) =>
        await work.sql(
          `INSERT INTO ${work.table} SELECT o.order_id, l.line, o.customer.name, o.customer.address.city, o.customer.address.zip, l.sku, l.count, l.price
           FROM (SELECT o, arrayJoin(o.lines) AS l FROM (SELECT JSONExtract(text, '${ORDER_TYPE}') AS o FROM ${s3Table(work, "LineAsString", "text String")}))`,
        ),
    },
  },
  {
    name: "xml",
    data: "XML, 1 M records of 6 elements",
    toReach: 0.8,
    beyond: 2,
    rows: 1_000_000,
    columns: SIX,
    primaryKey: KEY,
    settings: { format: { case: "xml", value: { rowElement: "row" } } },
    makeData: async (rows, { files }) =>
      await cachedData({ name: "xml", rows, version: 1 }, async (folder) => {
        const elements = SIX.map(
          ({ name, value }) => `'<${name}>', toString(${value}), '</${name}>'`,
        );
        const record = `concat('<row>', ${elements.join(", ")}, '</row>')`;
        const around = [
          '<?xml version="1.0" encoding="UTF-8"?>\\n<rows>\\n',
          "</rows>\\n",
        ] as const;
        await files.write(linesOf(record, `numbers(${rows})`, around), join(folder, "rows.xml"));
      }),
    peer: saxesPeer(),
  },
];
