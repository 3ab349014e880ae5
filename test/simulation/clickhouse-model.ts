import { StageError } from "@sluice/errors";
import type { InsertAnswer, InsertRequest } from "@sluice/load";

/** A row as the bucket's files have it: its own name, its key in the domain table, and whether it can be cast. */
export interface ModelRow {
  readonly id: string;
  readonly key: string;
  /** Of two rows of one key readers see the one with the larger version. */
  readonly version: number;
  readonly file: string;
  /** The object's. */
  readonly ordinal: number;
  readonly isGood: boolean;
}

interface Part {
  readonly name: string;
  /** When its rows came, in milliseconds. */
  readonly time: number;
  readonly rows: readonly ModelRow[];
}

interface Column {
  readonly name: string;
  readonly type: string;
}

interface Table {
  readonly uuid: string;
  readonly columns: readonly Column[];
  readonly sortingKey: string;
  engine: string;
  parts: Part[];
  /** Tokens of inserts that it remembers. */
  readonly tokens: Set<string>;
}

/**
 * What ClickHouse does with the statements of a load and a publish: each is carried out at once or not at all, but for a
 * MOVE in which the server is killed. It knows the statements that the product sends and no others.
 */
export interface ClickHouseModel {
  execute(statement: string): void;
  query(statement: string, parameters: Readonly<Record<string, unknown>>): unknown[];
  insert(request: InsertRequest): InsertAnswer;
  /** Rows that the table of this name holds, below any view; undefined if there is no such table. */
  rowsOf(database: string, table: string): readonly ModelRow[] | undefined;
  tableNames(): readonly string[];
}

export interface ModelOptions {
  readonly now: () => number;
  /** Called after each change; `isTorn` when the server was killed in the middle of it. */
  readonly onChange: (isTorn: boolean) => void;
  /** Asked at each MOVE: of how many parts it is killed in the middle, or undefined. */
  readonly tornMove: (parts: number) => number | undefined;
  /** Whether repeated inserts are known by their tokens. */
  readonly deduplicates: boolean;
}

const T = "`(\\w+)`\\.`([\\w-]+)`";
const UNKNOWN_TABLE = 60;
const TABLE_ALREADY_EXISTS = 57;

function refuse(code: number): never {
  const cause = Object.assign(new Error(`Code: ${code}.`), { code: String(code) });
  const ours = code === UNKNOWN_TABLE ? "table_changed" : "rejected";
  throw new StageError("load", ours, `refused (exception ${code})`, { cause });
}

/** Splits at commas outside of parentheses. */
function splitList(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at <= text.length; at++) {
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    if (at < text.length && (text[at] !== "," || depth > 0)) continue;
    parts.push(text.slice(start, at).trim());
    start = at + 1;
  }
  return parts;
}

export function readRows(bytes: readonly Uint8Array[]): ModelRow[] {
  return JSON.parse(Buffer.concat(bytes).toString()) as ModelRow[];
}

/** The newest row of each key. */
function newest(rows: Iterable<ModelRow>): ReadonlyMap<string, ModelRow> {
  const found = new Map<string, ModelRow>();
  for (const row of rows) {
    const other = found.get(row.key);
    if (other === undefined || other.version <= row.version) found.set(row.key, row);
  }
  return found;
}

export function createClickHouseModel(options: ModelOptions): ClickHouseModel {
  const tables = new Map<string, Table>();
  const views = new Map<string, Column[]>();
  let made = 0;

  const find = (database: string, table: string): Table =>
    tables.get(`${database}.${table}`) ?? refuse(UNKNOWN_TABLE);
  const make = (columns: readonly Column[], sortingKey: string, engine: string): Table => {
    made += 1;
    return {
      uuid: `uuid-${made}`,
      columns,
      sortingKey,
      engine,
      parts: [],
      tokens: new Set(),
    };
  };
  const rowsIn = ({ parts }: Table): ModelRow[] => parts.flatMap(({ rows }) => rows);
  const those = (database: unknown, names: unknown): [string, Table][] =>
    [...tables].flatMap(([name, table]): [string, Table][] => {
      const [place, own = ""] = name.split(".");
      return place === database && Array.isArray(names) && names.includes(own)
        ? [[own, table]]
        : [];
    });

  const rename = (from: string, to: string): void => {
    const table = tables.get(from) ?? refuse(UNKNOWN_TABLE);
    if (tables.has(to)) refuse(TABLE_ALREADY_EXISTS);
    tables.delete(from);
    tables.set(to, table);
  };

  const statements: readonly (readonly [RegExp, (...names: string[]) => boolean])[] = [
    [/^CREATE DATABASE IF NOT EXISTS /, () => false],
    [
      new RegExp(
        `^CREATE TABLE IF NOT EXISTS ${T} \\((.*)\\) (ENGINE = \\w+.*) ORDER BY \\((.*)\\)$`,
      ),
      (database = "", table = "", columns = "", engine = "", key = "") => {
        const name = `${database}.${table}`;
        if (tables.has(name)) return false;
        const defined = splitList(columns).map((column) => {
          const [, own = "", type = ""] = /^`(\w+)` (.*)$/.exec(column) ?? [];
          return { name: own, type };
        });
        const full = `${engine.slice("ENGINE = ".length)} ORDER BY (${key.replaceAll("`", "")}) SETTINGS index_granularity = 8192`;
        tables.set(name, make(defined, key.replaceAll("`", ""), full));
        return false;
      },
    ],
    [
      new RegExp(`^CREATE TABLE (IF NOT EXISTS )?${T} AS ${T}(?: ENGINE = (.*))?$`),
      (unless, database = "", table = "", ofDatabase = "", of = "", engine) => {
        const model = find(ofDatabase, of);
        const name = `${database}.${table}`;
        if (tables.has(name)) return unless === undefined ? refuse(TABLE_ALREADY_EXISTS) : false;
        tables.set(name, make(model.columns, model.sortingKey, engine ?? model.engine));
        return false;
      },
    ],
    [
      new RegExp(`^CREATE OR REPLACE VIEW ${T} AS SELECT (.*) FROM ${T} FINAL$`),
      (database = "", view = "", columns = "", _database = "", of = "") => {
        const { columns: all } = find(database, of);
        const shown = columns.split(", ").map((name) => name.replaceAll("`", ""));
        views.set(
          `${database}.${view}`,
          shown.map((name) => ({ name, type: all.find((each) => each.name === name)?.type ?? "" })),
        );
        return false;
      },
    ],
    [
      new RegExp(`^RENAME TABLE (IF EXISTS )?${T} TO ${T}$`),
      (unless, database = "", from = "", toDatabase = "", to = "") => {
        if (unless !== undefined && !tables.has(`${database}.${from}`)) return false;
        rename(`${database}.${from}`, `${toDatabase}.${to}`);
        return true;
      },
    ],
    [
      new RegExp(`^EXCHANGE TABLES ${T} AND ${T}$`),
      (oneDatabase = "", one = "", otherDatabase = "", other = "") => {
        const [left, right] = [find(oneDatabase, one), find(otherDatabase, other)];
        tables.set(`${oneDatabase}.${one}`, right);
        tables.set(`${otherDatabase}.${other}`, left);
        return true;
      },
    ],
    [
      new RegExp(`^ALTER TABLE ${T} MOVE PARTITION tuple\\(\\) TO TABLE ${T} SETTINGS `),
      (database = "", from = "", toDatabase = "", to = "") => {
        const [source, target] = [find(database, from), find(toDatabase, to)];
        const torn = options.tornMove(source.parts.length);
        target.parts.push(...source.parts.slice(0, torn));
        if (torn !== undefined) {
          options.onChange(true);
          return false;
        }
        source.parts = [];
        return true;
      },
    ],
    [
      new RegExp(`^ALTER TABLE ${T} ATTACH PARTITION tuple\\(\\) FROM ${T}$`),
      (database = "", to = "", ofDatabase = "", from = "") => {
        find(database, to).parts.push(...find(ofDatabase, from).parts);
        return true;
      },
    ],
    [
      new RegExp(`^ALTER TABLE ${T} MODIFY SETTING (.*)$`),
      (database = "", table = "", settings = "") => {
        const found = find(database, table);
        found.engine = `${found.engine}, ${settings}`;
        return false;
      },
    ],
    [
      new RegExp(`^ALTER TABLE ${T} RESET SETTING (.*)$`),
      (database = "", table = "", settings = "") => {
        const found = find(database, table);
        for (const name of settings.split(", ")) {
          found.engine = found.engine.replaceAll(new RegExp(`, ${name} = \\d+`, "g"), "");
        }
        return false;
      },
    ],
    [
      new RegExp(`^ALTER TABLE ${T} ((?:DROP PART '\\w+'(?:, )?)+)$`),
      (database = "", table = "", parts = "") => {
        const found = find(database, table);
        const gone = new Set(parts.split(", ").map((part) => part.slice("DROP PART '".length, -1)));
        found.parts = found.parts.filter(({ name }) => !gone.has(name));
        return true;
      },
    ],
    [
      new RegExp(
        `^ALTER TABLE ${T} DELETE WHERE (?:_workflow = '[\\w-]+' AND )?bitShiftRight\\(toUInt64\\(_\\w+\\), 37\\) = (\\d+)(?: AND time < '([\\d.]+)')? SETTINGS`,
      ),
      (database = "", table = "", ordinal = "", time = "Infinity") => {
        const found = find(database, table);
        // Ordinals are of one workflow each.
        found.parts = found.parts
          .map((part) => ({
            ...part,
            rows: part.rows.filter(
              (row) => row.ordinal !== Number(ordinal) || part.time >= Number(time),
            ),
          }))
          .filter(({ rows }) => rows.length > 0);
        return true;
      },
    ],
    [
      new RegExp(`^DROP TABLE IF EXISTS ${T} SYNC$`),
      (database = "", table = "") => tables.delete(`${database}.${table}`),
    ],
  ];

  const queries: readonly (readonly [
    string,
    (given: Readonly<Record<string, unknown>>, statement: string) => unknown[],
  ])[] = [
    [
      "engine_full AS engine, toString(ifNull(total_rows",
      ({ database, names, prefixes }) => {
        const wanted = names as string[];
        const beginnings = prefixes as string[];
        return [...tables]
          .map(([name, table]) => ({ place: name.split("."), table }))
          .filter(
            ({ place: [of, own = ""] }) =>
              of === database &&
              (wanted.includes(own) || beginnings.some((prefix) => own.startsWith(prefix))),
          )
          .map(({ place: [, name = ""], table }) => ({
            name,
            uuid: table.uuid,
            engine: table.engine,
            n: String(rowsIn(table).length),
          }))
          .sort((a, b) => (a.name < b.name ? -1 : 1));
      },
    ],
    [
      "SELECT database, name, toString(uuid) AS uuid FROM system.tables",
      ({ databases, names }) =>
        (databases as string[]).flatMap((database) =>
          those(database, names).map(([name, { uuid }]) => ({ database, name, uuid })),
        ),
    ],
    [
      "SELECT name, engine_full AS engine, sorting_key AS key FROM system.tables",
      ({ database, names }) => [
        ...those(database, names).map(([name, { engine, sortingKey }]) => ({
          name,
          engine,
          key: sortingKey,
        })),
        ...(names as string[])
          .filter((name) => views.has(`${String(database)}.${name}`))
          .map((name) => ({ name, engine: "View", key: "" })),
      ],
    ],
    [
      "SELECT sorting_key AS key FROM system.tables",
      ({ database, table }) => those(database, [table]).map(([, { sortingKey: key }]) => ({ key })),
    ],
    [
      "SELECT table, name, type FROM system.columns",
      ({ database, names }) =>
        (names as string[]).flatMap((table) =>
          columnsOf(String(database), table).map((column) => ({ table, ...column })),
        ),
    ],
    [
      "SELECT table, groupArray(name) AS columns FROM system.columns",
      ({ database, tables: names }) =>
        those(database, names).map(([table, { columns }]) => ({
          table,
          columns: columns.map(({ name }) => name),
        })),
    ],
    // What the view for identity resolution is made of: no feed here is made available to it.
    ["SELECT table AS view, groupArray(name) AS columns", () => []],
    [
      "SELECT name, type FROM system.columns",
      ({ database, table }) => columnsOf(String(database), String(table)),
    ],
    [
      "SELECT name FROM system.parts WHERE active AND rows > 0",
      ({ database, from, to }) => {
        const [[, source] = []] = those(database, [from]);
        const [[, target] = []] = those(database, [to]);
        const there = new Set(target?.parts.map(({ name }) => name));
        return (source?.parts ?? [])
          .filter(({ name }) => there.has(name))
          .map(({ name }) => ({ name }));
      },
    ],
    ["now64(3, 'UTC')", () => [{ time: String(options.now()) }]],
    [
      "SELECT extract(name, {table:String}) AS workflowId",
      ({ table: pattern }) =>
        [...tables.keys()].flatMap((name) => {
          const [database, table = ""] = name.split(".");
          const workflowId = new RegExp(String(pattern)).exec(table)?.[1];
          return workflowId === undefined ? [] : [{ workflowId, database, table }];
        }),
    ],
    [
      "SELECT (SELECT total_rows FROM system.tables",
      ({ database, table }) => {
        const found = find(String(database), String(table));
        return [{ kept: "0", n: String(newest(rowsIn(found)).size), own: "0" }];
      },
    ],
    [
      "SELECT _file AS file, toString(count()) AS n",
      (_given, statement) =>
        [...statement.matchAll(new RegExp(`toUInt8\\((\\d)\\) AS refused FROM ${T}`, "g"))].flatMap(
          ([, refused, database = "", table = ""]) => {
            const counts = new Map<string, number>();
            for (const { file } of rowsIn(find(database, table))) {
              counts.set(file, (counts.get(file) ?? 0) + 1);
            }
            return [...counts].map(([file, n]) => ({
              file,
              n: String(n),
              refused: Number(refused),
            }));
          },
        ),
    ],
    [
      "SELECT toString(count()) AS n FROM `",
      (_given, statement) => {
        const [, database = "", table = ""] = new RegExp(T).exec(statement) ?? [];
        return [{ n: String(rowsIn(find(database, table)).length) }];
      },
    ],
  ];

  const columnsOf = (database: string, table: string): readonly Column[] =>
    views.get(`${database}.${table}`) ?? tables.get(`${database}.${table}`)?.columns ?? [];

  return {
    execute(statement) {
      for (const [form, carryOut] of statements) {
        const [found, ...names] = form.exec(statement) ?? [];
        if (found === undefined) continue;
        if (carryOut(...names)) options.onChange(false);
        return;
      }
      throw new Error(`the model does not know: ${statement.slice(0, 200)}`);
    },
    query(statement, parameters) {
      const found = queries.find(([part]) => statement.includes(part));
      if (found === undefined) throw new Error(`the model cannot ask: ${statement.slice(0, 200)}`);
      return found[1](parameters, statement);
    },
    insert({ statement, body, deduplicationToken }) {
      const [, database = "", name = ""] = new RegExp(`^INSERT INTO ${T} `).exec(statement) ?? [];
      const table = find(database, name);
      if (typeof body === "function") throw new Error("the model takes bytes at hand");
      const all = readRows(body);
      const rows = all.filter(({ isGood }) => isGood !== name.endsWith("__rejects"));
      const isKnown = options.deduplicates && table.tokens.has(deduplicationToken);
      if (rows.length > 0 && !isKnown) {
        made += 1;
        table.tokens.add(deduplicationToken);
        table.parts.push({ name: `part_${made}`, time: options.now(), rows });
        options.onChange(false);
      }
      return { readRows: all.length, writtenRows: rows.length };
    },
    rowsOf(database, name) {
      const table = tables.get(`${database}.${name}`);
      return table === undefined ? undefined : rowsIn(table);
    },
    tableNames: () => [...tables.keys()].sort(),
  };
}
