import { expect, test } from "vitest";
import { faultsOf } from "../src/query/check-query.ts";
import { readTree } from "../src/query/parsed-query.ts";

/** As ClickHouse 26.7 prints `EXPLAIN AST SELECT o.id FROM orders AS o, url('x') WHERE id IN system.users SETTINGS ...`. */
const TREE = `SelectWithUnionQuery (children 1)
 ExpressionList (children 1)
  SelectQuery (children 4)
   ExpressionList (children 2)
    Identifier o.id (alias one)
    Function file (children 1)
     ExpressionList (children 1)
      Literal \\'/etc/passwd\\'
   TablesInSelectQuery (children 2)
    TablesInSelectQueryElement (children 1)
     TableExpression (children 1)
      TableIdentifier orders (alias o)
    TablesInSelectQueryElement (children 2)
     TableExpression (children 1)
      Function url (alias u) (children 1)
       ExpressionList (children 1)
        Literal \\'x\\'
     TableJoin
   Function in (children 1)
    ExpressionList (children 2)
     Identifier id
     Identifier system.users
   Set
`;

test("a tree is read into tables, table functions, functions and names", () => {
  expect(readTree(TREE)).toEqual({
    statement: "SelectWithUnionQuery",
    hasMore: false,
    hasSettings: true,
    tables: ["orders"],
    tableFunctions: ["url"],
    functions: ["file", "in"],
    identifiers: ["o.id", "id", "system.users"],
    aliases: ["one", "o", "u"],
  });
});

test("all that a query may not do is told at once, with its place", () => {
  const sql =
    "SELECT o.id AS one, file('/etc/passwd')\nFROM orders AS o, url('x') AS u\nWHERE id IN system.users SETTINGS a = 1";
  const faults = faultsOf(readTree(TREE), sql, ["orders"]);
  expect(faults.map(({ line, column }) => [line, column])).toEqual([
    [3, 26],
    [2, 19],
    [1, 21],
    [3, 13],
  ]);
  expect(faults.every(({ isForbidden }) => isForbidden)).toBe(true);
});

test("a name that no file has is told, one that WITH gives is not", () => {
  const parsed = { ...readTree(TREE), hasSettings: false, tableFunctions: [], functions: [] };
  const query = { ...parsed, identifiers: [], tables: ["late", "lines"] };
  const [fault, ...others] = faultsOf(query, "WITH late AS (SELECT 1)\nSELECT 1 FROM late, lines", [
    "a",
  ]);
  expect(others).toEqual([]);
  expect(fault).toMatchObject({ line: 2, column: 21, isForbidden: false });
  expect(fault?.message).toContain('no file of the query has the tag "lines"');
});

test("anything but one SELECT is refused", () => {
  const [fault] = faultsOf(readTree("DropQuery  x (children 1)\n Identifier x"), "DROP TABLE x", [
    "x",
  ]);
  expect(fault).toMatchObject({ isForbidden: true });
});

test("what stands behind the SELECT is refused", () => {
  const tree =
    "SelectWithUnionQuery (children 3)\n ExpressionList (children 1)\n Literal \\'/tmp/x\\'";
  const [fault] = faultsOf(readTree(tree), "SELECT 1 INTO OUTFILE '/tmp/x'", ["x"]);
  expect(fault).toMatchObject({ line: 1, column: 10, isForbidden: true });
});
