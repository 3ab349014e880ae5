import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { chunked, probe } from "@sluice/streams/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseXml } from "../src/xml/parse-xml.ts";
import { ROW, readXml, wanted } from "./xml-document.ts";

/** Takes every connection that somebody makes because of a document, and counts it. */
let listener: Server;
let port = 0;
let connections = 0;
beforeAll(async () => {
  listener = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  port = typeof address === "object" && address !== null ? address.port : 0;
});
afterAll(async () => {
  await new Promise((resolve) => listener.close(resolve));
});

const corpus = new URL("../../../../shared/corpora/defusedxml/xmltestdata/", import.meta.url);
describe.skipIf(!existsSync(corpus))("defusedxml (skipped without ../shared/corpora)", () => {
  const names = existsSync(corpus)
    ? readdirSync(corpus).filter((name) => name.endsWith(".xml"))
    : [];
  test("has its files", () => expect(names.length).toBe(10));
  test.each(names)("%s is refused before anything is expanded, if it has a DTD", async (name) => {
    const bytes = readFileSync(new URL(name, corpus));
    for (const size of [1, 4096]) {
      const source = probe(chunked(bytes, size));
      const parsed = await parseXml({ ...ROW, rowElement: "root" }, wanted(["element"]))(source);
      const rows = Array.fromAsync(parsed.blocks);
      if (name.startsWith("simple")) {
        expect((await rows)[0]?.rows).toBe(1);
      } else {
        await expect(rows).rejects.toMatchObject({
          stage: "parse",
          code: "forbidden_entity",
          coordinate: { byteOffset: bytes.indexOf("<!DOCTYPE") },
        });
        await expect(rows).rejects.toThrow("remove it");
        // Not one byte of the declaration's content is asked for.
        if (size === 1) {
          expect(source.pulled).toBeLessThanOrEqual(Math.max(1024, bytes.indexOf("<!DOCTYPE") + 9));
        }
      }
    }
  });
});

describe("X1: entities are refused where they would be declared", () => {
  test.each([
    ["billion laughs", '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>'],
    ["quadratic", `<!DOCTYPE l [<!ENTITY a "${"A".repeat(1000)}">]><l>${"&a;".repeat(1000)}</l>`],
    ["cyclic", '<!DOCTYPE l [<!ENTITY a "&b;"><!ENTITY b "&a;">]><l>&a;</l>'],
    ["parameter entities", "<!DOCTYPE l [<!ENTITY % a \"<!ENTITY b 'c'>\">%a;]><l>&b;</l>"],
    ["no entity at all", "<!DOCTYPE l [<!ELEMENT l ANY>]><l/>"],
    ["no subset at all", "<!DOCTYPE l><l/>"],
    ["small letters, as HTML has them", "<!doctype html><l/>"],
    ["behind comments that speak of it", "<!-- <!DOCTYPE --><?x <!DOCTYPE?>\n<!DOCTYPE l><l/>"],
    ["a declaration that never ends", `<!DOCTYPE l [${"<!ENTITY ".repeat(1000)}`],
    ["inside of the root", "<l><!DOCTYPE l></l>"],
    ["behind the root", "<l/><!DOCTYPE l>"],
  ])("%s", async (_, text) => {
    for (const size of [1, 3, 10_000]) {
      await expect(readXml(text, ["a"], {}, {}, size)).rejects.toMatchObject({
        code: "forbidden_entity",
      });
    }
  });

  test("an entity without a declaration is malformed, by names of objects too", async () => {
    for (const name of ["nbsp", "constructor", "__proto__", "toString"]) {
      await expect(readXml(`<row><a>&${name};</a></row>`, ["a"])).rejects.toMatchObject({
        code: "malformed",
        coordinate: { row: 1 },
      });
    }
  });
});

describe("X2: nothing outside of the document is opened", () => {
  test("neither an external DTD nor an entity, an include or a schema", async () => {
    const url = `http://127.0.0.1:${port}/x`;
    const refused = [
      `<!DOCTYPE r SYSTEM "${url}.dtd"><r/>`,
      `<!DOCTYPE r [<!ENTITY e SYSTEM "${url}">]><r>&e;</r>`,
      `<!DOCTYPE r [<!ENTITY % e SYSTEM "${url}">%e;]><r/>`,
      '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;</r>',
      '<!DOCTYPE r [<!ENTITY e SYSTEM "http://169.254.169.254/">]><r>&e;</r>',
    ];
    for (const text of refused) {
      await expect(readXml(text, ["a"])).rejects.toMatchObject({ code: "forbidden_entity" });
    }
    const read =
      `<?xml-stylesheet href="${url}.xsl"?><row xmlns:xi="http://www.w3.org/2001/XInclude" ` +
      `xsi:schemaLocation="u ${url}.xsd" xsi:noNamespaceSchemaLocation="${url}.xsd">` +
      `<xi:include href="${url}"/><a>1</a></row>`;
    expect((await readXml(read, ["a"])).rows).toEqual([["1"]]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(connections).toBe(0);
  });
});

describe("X3: what is no XML is malformed, with row and byte offset", () => {
  const head = "<r>é<row/>\n<row><a>";
  test.each([
    ["a control character", `${head}\x01</a></row></r>`],
    ["a control character of XML 1.1", `<?xml version='1.1'?>${head}&#1;</a></row></r>`],
    ["a character that is none", `${head}\ufffe</a></row></r>`],
    ["a reference to no character", `${head}&#xD800;</a></row></r>`],
    ["tags that do not match", `${head}</b></row></r>`],
    ["a record closed by another tag", "<r>é<row/>\n<row></x></r>"],
    ["an attribute twice", "<r>é<row/>\n<row><a b='1' b='2'/></row></r>"],
    ["an attribute without quotes", "<r>é<row/>\n<row><a b=1/></row></r>"],
    ["an unclosed record", head],
    ["]]> in text", `${head}]]></a></row></r>`],
    ["two dashes in a comment", `${head}<!-- -- --></a></row></r>`],
    ["a bare ampersand", `${head}a & b</a></row></r>`],
  ])("%s", async (_, text) => {
    for (const size of [1, 6, 1000]) {
      const failed = readXml(text, ["a"], {}, {}, size);
      await expect(failed).rejects.toMatchObject({ stage: "parse", code: "malformed" });
      await expect(failed).rejects.toThrow(/line \d+, column \d+: /);
      const error = await failed.catch((caught: unknown) => caught);
      const { row, byteOffset } = (error as { coordinate: { row: number; byteOffset: number } })
        .coordinate;
      if (!text.startsWith("<?xml")) expect(row).toBe(2);
      expect(byteOffset).toBeGreaterThanOrEqual(Buffer.from(text).lastIndexOf("<row>"));
      expect(byteOffset).toBeLessThanOrEqual(Buffer.from(text).byteLength);
    }
  });

  test.each([
    ["nothing", ""],
    ["no root", "<?xml version='1.0'?><!-- -->\n"],
    ["two roots", "<a/><b/>"],
    ["text before the root", "x<a/>"],
    ["text behind the root", "<a/>x"],
    ["an XML declaration that is not first", " <?xml version='1.0'?><a/>"],
    ["no XML at all", '{"a":1}'],
    ["UTF-7", "+ADw-row/+AD4-"],
  ])("%s, outside of rows", async (_, text) => {
    const failed = readXml(text, ["a"]);
    await expect(failed).rejects.toMatchObject({ stage: "parse" });
    const { coordinate, code } = await failed.catch((caught) => caught);
    expect(["malformed", "bad_encoding"]).toContain(code);
    expect(coordinate.row).toBeUndefined();
    expect(coordinate.byteOffset).toBeLessThanOrEqual(text.length);
  });

  test("and no message repeats what the document says", async () => {
    for (const text of [
      "<r><secret>",
      "<r></secret>",
      "<r secret='1' secret='2'/>",
      "<r>&secret;</r>",
    ]) {
      const error = await readXml(text, ["a"]).catch((caught) => caught);
      expect(JSON.stringify(error.toFailure())).not.toContain("secret");
    }
  });

  test("and so is a document cut at any byte", async () => {
    const text = Buffer.from(
      "<?xml version='1.0'?><!--c--><r a='é'>\n<row>é<a x='1'><![CDATA[𝄞]]>&amp;</a></row><?p i?></r>",
    );
    for (let end = 0; end < text.byteLength; end++) {
      await expect(readXml(text.subarray(0, end), ["a"]), `${end} bytes`).rejects.toMatchObject({
        stage: "parse",
        code: expect.stringMatching(/^(malformed|bad_encoding)$/),
      });
    }
    expect((await readXml(text, [["a", "a.#text"]])).rows).toEqual([["𝄞&"]]);
  });
});
