import { readFileSync } from "node:fs";
import type { Field, FieldType } from "@sluice/schema";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  createStaging,
  loadBatches,
  loadSlices,
  prepareDomainTable,
  resolveColumns,
} from "../src/index.ts";
import { quoteText } from "../src/quoting.ts";
import {
  batchOf,
  feedOf,
  field,
  manifestObject,
  sliceOf,
  startTestServer,
  streamOf,
  type TestServer,
} from "./server.ts";

type Value = string | null;
type Outcome = Value | { readonly code: string };

/** One line of the table: a field, how its values come, and what becomes of each example. */
interface Line {
  readonly field: Field;
  /** ClickHouse's type of the column; `Nullable(String)` for text. */
  readonly type: string;
  readonly examples: readonly (readonly [Value, Outcome])[];
}

const WORD = "(?:`([^`]*)`|(empty|null))";

const readTerm = (quoted: string | undefined, word: string | undefined): Value =>
  word === "null" ? null : word === "empty" ? "" : (quoted ?? "");

function readType(text: string): FieldType {
  const decimal = /^decimal\((\d+),(\d+)\)$/.exec(text);
  if (decimal !== null) {
    return { kind: "decimal", precision: Number(decimal[1]), scale: Number(decimal[2]) };
  }
  const kinds = ["boolean", "date", "datetime", "float", "integer", "string"] as const;
  const kind = kinds.find((one) => one === text);
  if (kind === undefined) throw new Error(`${text} is no field type`);
  return { kind };
}

function readLine(text: string, at: number): Line {
  const cells = text.slice(1, -1).split("|");
  const [type = "", options = "", incoming = "", accepted = "", nulls = "", rejected = ""] = cells;
  const inside = (cell: string): string => /`([^`]*)`/.exec(cell)?.[1] ?? "";
  const found = [
    ...[...accepted.matchAll(new RegExp(`${WORD} → ${WORD}`, "g"))].map((m): [Value, Outcome] => [
      readTerm(m[1], m[2]),
      readTerm(m[3], m[4]),
    ]),
    ...[...nulls.matchAll(new RegExp(WORD, "g"))].map((m): [Value, Outcome] => [
      readTerm(m[1], m[2]),
      null,
    ]),
    ...[...rejected.matchAll(/`([^`]*)` ([a-z_]+)/g)].map((m): [Value, Outcome] => [
      m[1] ?? "",
      { code: m[2] ?? "" },
    ]),
  ];
  const wrongly = [accepted, nulls, rejected].join().split("`").length - 1;
  const ticks = found.reduce((sum, [value, outcome]) => {
    const both = [value, typeof outcome === "object" ? null : outcome];
    return sum + both.filter((one) => one !== null && one !== "").length * 2;
  }, 0);
  if (found.length === 0 || wrongly !== ticks) throw new Error(`cannot read the line: ${text}`);
  const name = inside(incoming);
  return {
    field: field(`v${at}`, readType(inside(type)), JSON.parse(inside(options))),
    type: name === "text" ? "Nullable(String)" : `Nullable(${name})`,
    examples: found,
  };
}

const page = readFileSync(new URL("../../../docs/types.md", import.meta.url), "utf8");
const lines = page
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map(readLine);
const isText = ({ type }: Line): boolean => type === "Nullable(String)";

/** What stands for a typed value in a column of text, worked out here and not in SQL. */
function typedText(type: string, value: Value): Value {
  if (value === null) return null;
  if (type === "Nullable(Date32)") return String(Date.parse(`${value}T00:00:00Z`) / 86_400_000);
  const scale = /DateTime64\((\d+)/.exec(type)?.[1];
  if (scale === undefined) return value;
  const [whole = "", fraction = ""] = value.split(".");
  const seconds = Date.parse(`${whole.replace(" ", "T")}Z`) / 1000;
  return String(
    BigInt(seconds) * 10n ** BigInt(scale) + BigInt(fraction.padEnd(Number(scale), "0")),
  );
}

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());
beforeEach(async () => await server.admin("DROP DATABASE IF EXISTS types SYNC"));

/** One row for each example, with a value in the line's own column alone. */
async function outcomesOf(
  chosen: readonly Line[],
  way: "batch" | "Parquet" | "ArrowStream",
): Promise<(readonly [Value, Outcome])[][]> {
  const feed = feedOf([field("id", "integer"), ...chosen.map((line) => line.field)], {
    source: "types",
    name: "t",
  });
  const columns = [
    { name: "id", type: "Nullable(String)" },
    ...chosen.map((line) => ({ name: line.field.incomingName, type: line.type })),
  ];
  await prepareDomainTable(server.warehouse, feed);
  await createStaging(server.warehouse, { source: "types", name: "t" }, "w");
  const cells = chosen.flatMap((line, at) => line.examples.map(([value]) => ({ line, at, value })));
  const options = {
    warehouse: server.warehouse,
    feed,
    workflowId: "w",
    object: manifestObject(),
    entry: "",
    rowBase: 0,
    plan: resolveColumns(feed, columns),
  };
  if (way === "batch") {
    const rows = cells.map(({ line, at, value }, id) => [
      String(id),
      ...chosen.map((_, column) => (column === at ? typedText(line.type, value) : null)),
    ]);
    await loadBatches(options)(streamOf(await batchOf(server, rows)));
  } else {
    const values = chosen.map((line, at) => {
      const texts = cells.map((cell) =>
        cell.at === at && cell.value !== null ? quoteText(cell.value) : "NULL",
      );
      return `CAST(CAST([${texts.join(", ")}] AS Array(Nullable(String)))[number + 1] AS ${line.type}) AS v${lines.indexOf(line)}`;
    });
    const select = `SELECT toString(number) AS id, ${values.join(", ")} FROM numbers(${cells.length})`;
    await loadSlices(options)(streamOf(await sliceOf(server, select, { format: way })));
  }
  const texts = chosen.map(({ field: { name } }) => `toString(${name}) AS ${name}`);
  const good = await server.rows<Record<string, Value>>(
    `SELECT toString(id) AS id, ${texts.join(", ")} FROM types.t__stg_w`,
  );
  const refused = await server.rows<{ id: string; field: string; code: string }>(
    "SELECT toString(_row - 1) AS id, field, code FROM types.t__stg_w__rejects",
  );
  const found = cells.map(({ line, value }, id): [Value, Outcome] => {
    const reject = refused.find((one) => one.id === String(id));
    if (reject !== undefined) {
      return [value, { code: reject.field === line.field.name ? reject.code : reject.field }];
    }
    return [value, good.find((one) => one.id === String(id))?.[line.field.name] ?? null];
  });
  expect(good.length + refused.length).toBe(cells.length);
  return chosen.map((_, at) => found.filter((__, id) => cells[id]?.at === at));
}

const expected = (chosen: readonly Line[]): unknown[] => chosen.map(({ examples }) => examples);

test("the table has a line for each field type and kind of value", () => {
  expect(lines.length).toBeGreaterThan(50);
  for (const kind of ["boolean", "date", "datetime", "decimal", "float", "integer", "string"]) {
    expect(lines.some((line) => line.field.type.kind === kind && isText(line))).toBe(true);
    expect(lines.some((line) => line.field.type.kind === kind && !isText(line))).toBe(true);
  }
});

test("every example of text becomes what the table says, in batches", async () => {
  const chosen = lines.filter(isText);
  expect(await outcomesOf(chosen, "batch")).toEqual(expected(chosen));
});

test("every example of a type becomes what the table says as typed text", async () => {
  const chosen = lines.filter((line) => !isText(line));
  expect(await outcomesOf(chosen, "batch")).toEqual(expected(chosen));
});

test.each(["Parquet", "ArrowStream"] as const)(
  "every example becomes what the table says in slices of %s",
  async (way) => {
    expect(await outcomesOf(lines, way)).toEqual(expected(lines));
  },
);
