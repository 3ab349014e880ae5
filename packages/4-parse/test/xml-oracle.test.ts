import fc from "fast-check";
import { XMLParser } from "fast-xml-parser";
import { expect, test } from "vitest";
import { readXml } from "./xml-document.ts";

/** A tree as it is written; text beside children stands in front of them. */
interface Tree {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  readonly children: readonly Tree[];
}

// Names of object members are left out: the oracle changes them.
const name = fc.constantFrom("a", "b", "c", "Ab", "n.x", "n-y", "p:q", "é", "名");
const text = fc
  .array(fc.constantFrom("x", "7", "é", "𝄞", "<", "&", '"', "'", ">", " y ", "\n", "]]", "0"), {
    maxLength: 5,
  })
  // The oracle cuts blanks at the ends; what we do with them is said by other tests.
  .map((parts) => parts.join("").trim());
const attributes = fc.dictionary(fc.constantFrom("i", "j", "K", "x:y"), text, { maxKeys: 3 });

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    name,
    attributes,
    text,
    children: fc.oneof({ maxDepth: 4 }, fc.constant([]), fc.array(tie("tree"), { maxLength: 4 })),
  }),
}));

const escaped = (value: string, isAttribute: boolean): string =>
  value
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', isAttribute ? "&quot;" : '"')
    .replaceAll("\n", isAttribute ? " " : "\n");

function write(
  { name: tag, attributes: pairs, text: own, children }: Tree,
  isCdata: boolean,
): string {
  const head = Object.entries(pairs)
    .map(([key, value]) => ` ${key}="${escaped(value, true)}"`)
    .join("");
  const body =
    isCdata && own !== ""
      ? `<![CDATA[${own.replaceAll("]]", "]]]]><![CDATA[")}]]>`
      : escaped(own, false);
  const inner = children
    .map((child) => (own === "" ? "\n  " : "") + write(child, isCdata))
    .join("");
  return body + inner === "" ? `<${tag}${head}/>` : `<${tag}${head}>${body}${inner}</${tag}>`;
}

/** What fast-xml-parser makes of a document, by the mapping that our JSON has. */
function oracle(document: string): unknown {
  return new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: "@",
    textNodeName: "#text",
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: true,
    processEntities: true,
  }).parse(document);
}

test("a tree taken whole is what fast-xml-parser reads, in any chunks", async () => {
  await fc.assert(
    fc.asyncProperty(
      tree,
      fc.boolean(),
      fc.integer({ min: 1, max: 60 }),
      async (root, isCdata, size) => {
        const document = `<r><row><v>${write(root, isCdata)}</v><other/></row></r>`;
        const { rows } = await readXml(document, ["v"], {}, {}, size);
        const expected = (oracle(document) as { r: { row: { v: unknown } } }).r.row.v;
        expect(JSON.parse(rows[0]?.[0] ?? "null")).toEqual(expected);
      },
    ),
    { numRuns: 600 },
  );
});

test("each leaf of a tree is what the tree taken whole has at its path", async () => {
  const paths = (value: unknown, path: string): [string, string][] => {
    if (typeof value === "string") return [[path, value]];
    if (typeof value !== "object" || value === null) return [];
    if (Array.isArray(value)) return value.flatMap((one, i) => paths(one, `${path}[${i}]`));
    return Object.entries(value).flatMap(([key, one]) =>
      paths(one, `${path}.${JSON.stringify(key)}`),
    );
  };
  await fc.assert(
    fc.asyncProperty(tree, async (root) => {
      const document = `<r><row><v>${write(root, false)}</v></row></r>`;
      const value = (oracle(document) as { r: { row: { v: unknown } } }).r.row.v;
      const leaves = paths(value, "v");
      const { rows, findings } = await readXml(
        document,
        leaves.map(([path]) => [path, path] as const),
      );
      expect(rows).toEqual([leaves.map(([, leaf]) => leaf)]);
      expect(findings.absent).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
