import { readFileSync } from "node:fs";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FORMATS, type Format, RECORDS } from "./formats.ts";
import { LAYERS, type Layer, PGP_PASSPHRASE } from "./layers.ts";
import {
  type FeedSpec,
  type FileSettings,
  INTEGER,
  STRING,
  type Story,
  startStory,
} from "./story.ts";

const guide = readFileSync(new URL("../../docs/formats.md", import.meta.url), "utf8");

const PAYMENTS: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING, require: true },
    {
      incomingName: "amount",
      type: { type: { case: "decimal", value: { precision: 10, scale: 2 } } },
      require: true,
    },
    { incomingName: "day", type: { type: { case: "date", value: {} } }, require: true },
  ],
  primaryKey: ["id"],
};

let story: Story;
let pgpCredentialId: string;
beforeAll(async () => {
  story = await startStory();
  const { credential } = await story.credentials.createCredential({
    credential: { name: "phrase", kind: { case: "pgp", value: { passphrase: PGP_PASSPHRASE } } },
  });
  pgpCredentialId = credential?.id ?? "";
});
afterAll(async () => await story[Symbol.asyncDispose]());

test("the guide's table has a row for every format, a column for every layer, and no empty cell (PV-7)", () => {
  const rows = guide
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const at = rows.findIndex(([first]) => first === "format");
  const [header = [], , ...cells] = rows.slice(at, at + 2 + FORMATS.length);
  expect(header.slice(1)).toEqual(LAYERS.map(({ name }) => name));
  expect(cells.map(([name]) => name)).toEqual(FORMATS.map(({ name }) => name));
  for (const [, ...marks] of cells) expect(marks).toEqual(LAYERS.map(() => "yes"));
});

describe.concurrent.each(FORMATS)("$name (PV-6, SC-7)", (format) => {
  for (const layer of LAYERS) {
    const tool = layer.wrap === undefined ? ` (skipped: ${layer.name} is not installed)` : "";
    test.skipIf(layer.wrap === undefined)(`${format.name}, ${layer.name}${tool}`, async () => {
      expect(await load(format, layer)).toEqual(
        RECORDS.map(({ id, name, amount, day }) => ({
          key: String(id),
          name,
          paid: String(amount),
          day,
        })),
      );
    });
  }
});

test("records that end with a character of their own, between comments, are read by csv-parse", async () => {
  const text = `#made by hand\u001eid,name,amount,day\u001e${RECORDS.map(
    ({ id, name, amount, day }) => `${id},"${name.replaceAll('"', '""')}\n",${amount},${day}`,
  ).join('\u001e# "\n\u001e')}\u001e4,short\u001e`;
  await story.customer.put("separated.txt", text);
  const spec = { ...PAYMENTS, errorThresholdPercent: 50 };
  const feedId = await story.feed("formats", "separated", spec);
  const settings: FileSettings = {
    format: { case: "delimited", value: { recordDelimiter: "\u001e", comment: "#" } },
  };
  const workflow = await story.run(await story.courier({ feedId, key: "separated.txt", settings }));
  expect(workflow).toMatchObject({
    state: Workflow_State.SUCCEEDED,
    totals: { rows: 4n, rejectedRows: 1n },
  });
  expect(workflow.tasks.map(({ route }) => route).filter(Boolean)).toEqual([
    "delimited text by csv-parse, typed by ClickHouse",
  ]);
  expect(await story.rows("SELECT name, _row AS row FROM formats.separated ORDER BY id")).toEqual(
    RECORDS.map(({ name }, i) => ({ name: `${name}\n`, row: i + 1 })),
  );
  const { rejects } = await story.tables.listRejects({ feedId });
  const byteOffset = BigInt(Buffer.byteLength(text.slice(0, text.indexOf("4,short"))));
  expect(rejects).toMatchObject([{ row: 4n, byteOffset, stage: "parse", code: "malformed" }]);
});

async function load(format: Format, layer: Layer): Promise<unknown[]> {
  const name = `${format.name} ${layer.name}`.replaceAll(/[^A-Za-z0-9]+/g, "_");
  await story.customer.put(name, (await layer.wrap?.(await format.bytes())) ?? new Uint8Array(0));
  const feedId = await story.feed("formats", name, PAYMENTS);
  const settings = {
    ...format.settings,
    ...layer.settings,
    ...(layer.isPgp
      ? { encryption: { case: "pgp" as const, value: { credentialId: pgpCredentialId } } }
      : {}),
  };
  const workflow = await story.run(await story.courier({ feedId, key: name, settings }));
  expect(workflow.failure).toBeUndefined();
  expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
  return await story.rows(
    `SELECT toString(id) AS key, name, toString(amount) AS paid, day FROM formats.\`${name}\` ORDER BY id`,
  );
}
