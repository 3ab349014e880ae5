import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { StageError } from "@sluice/errors";
import { describe, expect, test } from "vitest";
import { type Reading, readJson } from "./json-read.ts";

const folder = fileURLToPath(
  new URL("../../../../shared/corpora/jsontestsuite/test_parsing/", import.meta.url),
);
const present = existsSync(folder);
const names = present ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];

type Answer = "accepted" | "refused";

async function ask(text: Uint8Array, reading: Reading, fields = "v"): Promise<Answer> {
  try {
    const { faults } = await readJson(text, fields, { size: 1 << 16, ...reading });
    return faults.length === 0 ? "accepted" : "refused";
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    if (error.stage !== "parse") throw error;
    return "refused";
  }
}

/** A text of any kind as the value of a member, with a record around it or beside a record. */
const wrap = (before: string, text: Uint8Array, after: string) =>
  Buffer.concat([Buffer.from(before), text, Buffer.from(after)]);

/** Every way by which a value is gone over. */
const WAYS: Readonly<Record<string, (text: Uint8Array) => Promise<Answer>>> = {
  "as a field's value": (text) => ask(wrap('[{"v":', text, "}]"), { shape: "records" }),
  "as a value that no field takes": (text) =>
    ask(wrap('{"w":', text, "}"), { shape: "concatenated" }),
  "as a value with paths into it": (text) =>
    ask(wrap('{"v":', text, "}"), { shape: "concatenated" }, "a=v.a b=v[0] c=v[1].a"),
  "beside the records": (text) =>
    ask(wrap('{"w":', text, ',"rows":[{"v":1}]}'), { shape: "records", recordPath: "rows" }),
  "beside the records, byte by byte": (text) =>
    ask(wrap('{"w":[', text, '],"rows":[{"v":1}]}'), {
      shape: "records",
      recordPath: "rows",
      size: text.length > 10_000 ? 1 << 16 : 1,
    }),
  "on a line": (text) =>
    text.some((byte) => byte === 0x0a || byte === 0x0d)
      ? ask(wrap('{"v":', text, "}"), { shape: "concatenated" })
      : ask(wrap('{"v":', text, "}\n"), { shape: "lines" }),
  "as an exploded element": (text) =>
    ask(wrap('{"w":[', text, "]}"), { shape: "concatenated", explodePath: "w" }, "v=w"),
};

/** Nothing at all is no text; between the brackets of an array it is no element. */
const isNothing = (way: string, text: Uint8Array) =>
  /byte by byte|exploded/.test(way) && /^\s*$/.test(Buffer.from(text).toString("latin1"));

describe.skipIf(!present)(`jsontestsuite${present ? "" : " (corpus absent)"}`, () => {
  test.each(Object.keys(WAYS))("is judged as its names say %s", async (way) => {
    const counts: Record<string, number> = {};
    const wrong: string[] = [];
    for (const name of names) {
      const kind = name.slice(0, 1);
      const text = readFileSync(join(folder, name));
      if (isNothing(way, text)) continue;
      const answer = await WAYS[way]?.(text);
      const key = `${kind} ${answer}`;
      counts[key] = (counts[key] ?? 0) + 1;
      const due = { y: "accepted", n: "refused" }[kind];
      if (due !== undefined && answer !== due) wrong.push(name);
    }
    expect(wrong).toEqual([]);
    const asked = Object.values(counts).reduce((sum, count) => sum + count);
    console.log(`jsontestsuite ${way}: ${asked} of ${asked} right, ${JSON.stringify(counts)}`);
    expect(asked).toBeGreaterThanOrEqual(names.length - 2);
  });

  test("as whole files: one array of records or one record", async () => {
    const structured = names.filter((name) =>
      /^\s*[[{]/.test(readFileSync(join(folder, name), "latin1")),
    );
    const wrong: string[] = [];
    for (const name of structured) {
      const text = readFileSync(join(folder, name));
      const answer = await readJson(text, "a", { shape: "records", size: 1 << 16 }).then(
        () => "accepted",
        (error: unknown) => (error instanceof StageError ? "refused" : "crashed"),
      );
      const due = { y: ["accepted"], n: ["refused"] }[name.slice(0, 1)];
      if (!(due ?? ["accepted", "refused"]).includes(answer)) wrong.push(name);
    }
    expect(wrong).toEqual([]);
    console.log(`jsontestsuite as files: ${structured.length} of ${structured.length}`);
  });
});
