import type { FeedSpec } from "../../e2e/story.ts";

/** A column of a case: as a feed's field, as a column of a table, and how its values are made of `number`. */
export interface DataColumn {
  readonly name: string;
  readonly field: NonNullable<FeedSpec["fields"]>[number];
  /** The ClickHouse type of the domain table's column, before Nullable. */
  readonly type: string;
  /** SQL over `number`, of the column's type. */
  readonly value: string;
}

/** Everything that is made is made from this. */
export const SEED = 20_260_101;

const FIELD_TYPES = {
  Int64: { type: { case: "integer", value: {} } },
  String: { type: { case: "string", value: {} } },
  "Decimal(12, 2)": { type: { case: "decimal", value: { precision: 12, scale: 2 } } },
  Date32: { type: { case: "date", value: {} } },
  "DateTime64(6, 'UTC')": { type: { case: "datetime", value: {} } },
} as const;

export function column(
  name: string,
  type: keyof typeof FIELD_TYPES,
  value: string,
  path = "",
): DataColumn {
  const field = { incomingName: name, path, type: FIELD_TYPES[type] };
  return { name, field, type, value: `CAST(${value} AS ${type})` };
}

/** A number that looks like chance and is none; `salt` tells columns apart. */
export const chance = (salt: number, over = "number"): string =>
  `sipHash64(${over}, ${SEED + salt})`;

export const hexText = (salt: number, length: number, over = "number"): string =>
  `substring(lower(hex(${chance(salt, over)})), 1, ${length})`;
export const amount = (salt: number, over = "number"): string =>
  `toDecimal64(${chance(salt, over)} % 10000000, 2) / 100`;
export const day = (salt: number): string => `toDate32('2020-01-01') + (${chance(salt)} % 2000)`;

/** Six columns as exports have them: a number that counts up, words, an address that hardly compresses, money, times. */
export const SIX: readonly DataColumn[] = [
  column("id", "Int64", "number"),
  column(
    "name",
    "String",
    `concat(arrayElement(['Anna', 'Ben', 'Chloe', 'David', 'Emma', 'Finn', 'Grace', 'Hugo'], 1 + ${chance(1)} % 8), ' ', ${hexText(2, 8)})`,
  ),
  column("email", "String", `concat(lower(hex(${chance(3)})), '@example.com')`),
  column("amount", "Decimal(12, 2)", amount(4)),
  column("day", "Date32", day(5)),
  column(
    "seen",
    "DateTime64(6, 'UTC')",
    `toDateTime64('2024-01-01 00:00:00', 6, 'UTC') + toIntervalMicrosecond(${chance(6)} % 60000000000000)`,
  ),
];

/** The key and so many more columns of four types in turn. */
export function wide(columns: number): readonly DataColumn[] {
  const rest = Array.from({ length: columns - 1 }, (_, at) => {
    const name = `c${at + 1}`;
    const salt = 100 + at;
    switch (at % 4) {
      case 0:
        return column(name, "Int64", `${chance(salt)} % 1000000`);
      case 1:
        return column(name, "String", hexText(salt, 10));
      case 2:
        return column(name, "Decimal(12, 2)", amount(salt));
      default:
        return column(name, "Date32", day(salt));
    }
  });
  return [column("id", "Int64", "number"), ...rest];
}

/** The columns' types as a feed's domain table has them. */
export function tableColumns(
  columns: readonly DataColumn[],
  primaryKey: readonly string[],
): { readonly name: string; readonly type: string }[] {
  return columns.map(({ name, type }) => ({
    name,
    type: primaryKey.includes(name) ? type : `Nullable(${type})`,
  }));
}

export function feedSpec(
  columns: readonly DataColumn[],
  primaryKey: readonly string[],
  more: Partial<Pick<FeedSpec, "errorThresholdPercent">> = {},
): FeedSpec {
  return { fields: columns.map(({ field }) => field), primaryKey: [...primaryKey], ...more };
}

/** The rows as they have to be in the end, in the order of the file. */
export const selectRows = (columns: readonly DataColumn[], rows: number, first = 0): string =>
  `SELECT ${columns.map(({ name, value }) => `${value} AS ${name}`).join(", ")} FROM numbers(${first}, ${rows})`;
