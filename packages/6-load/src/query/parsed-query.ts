import type { Warehouse } from "../warehouse.ts";

/** What stands in the SQL of an ingest query, as ClickHouse itself parses it. Nothing of it was carried out. */
export interface ParsedQuery {
  /** What kind of statement it is: `SelectWithUnionQuery` for every SELECT. */
  readonly statement: string;
  /** Whether anything stands behind the SELECT: INTO OUTFILE, FORMAT. */
  readonly hasMore: boolean;
  readonly hasSettings: boolean;
  readonly tables: readonly string[];
  readonly tableFunctions: readonly string[];
  readonly functions: readonly string[];
  /** Names of columns as they are written, with what is before them: `orders.id`. */
  readonly identifiers: readonly string[];
  /** Names that the SQL itself gives. */
  readonly aliases: readonly string[];
}

const LINE = /^( *)(\S+)(.*)$/;
const CHILDREN = / \(children (\d+)\)$/;
const ALIAS = / \(alias (.*?)\)/;

/** Asks ClickHouse for the statement's tree. A syntax error is thrown as ClickHouse's own. */
export async function parseQuery(warehouse: Warehouse, sql: string): Promise<ParsedQuery> {
  // On a line of its own, so that lines and columns of errors are the SQL's.
  return readTree(await warehouse.readText(`EXPLAIN AST\n${sql}`));
}

/** Reads the lines of EXPLAIN AST: a node on each, its children below it, one blank deeper. */
export function readTree(text: string): ParsedQuery {
  const tables = new Set<string>();
  const tableFunctions = new Set<string>();
  const functions = new Set<string>();
  const identifiers = new Set<string>();
  const aliases = new Set<string>();
  let statement = "";
  let hasMore = false;
  let hasSettings = false;
  let parent = "";
  for (const line of text.split("\n")) {
    const [, indent = "", node = "", rest = ""] = LINE.exec(line) ?? [];
    if (node === "") continue;
    const bare = rest.replace(CHILDREN, "").replace(/ \(alias .*$/, "");
    const name = unescaped(bare.trim());
    const alias = ALIAS.exec(rest)?.[1];
    if (alias !== undefined) aliases.add(unescaped(alias));
    if (statement === "") {
      statement = node;
      hasMore = Number(CHILDREN.exec(rest)?.[1] ?? 0) > 1;
    } else if (node === "Set") hasSettings = true;
    else if (node === "TableIdentifier") tables.add(name);
    else if (node === "Identifier") identifiers.add(name);
    else if (node === "Function") {
      (parent === `${indent.slice(1)}TableExpression` ? tableFunctions : functions).add(name);
    }
    parent = indent + node;
  }
  return {
    statement,
    hasMore,
    hasSettings,
    tables: [...tables],
    tableFunctions: [...tableFunctions],
    functions: [...functions],
    identifiers: [...identifiers],
    aliases: [...aliases],
  };
}

/** As TabSeparated writes a text: names with a quote, a backslash or a line break in them. */
function unescaped(text: string): string {
  return text.replace(
    /\\(.)/gs,
    (_, letter: string) => ({ n: "\n", t: "\t", r: "\r" })[letter] ?? letter,
  );
}
