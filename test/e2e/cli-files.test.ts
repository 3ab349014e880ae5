import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CommandLine, openCommandLine } from "./command-line.ts";
import { DAY, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

/** Commands that read files of the person's own: replacements, and legacy configurations. */

let story: Story;
let line: CommandLine;
let sluice: CommandLine["run"];
beforeAll(async () => {
  story = await startStory();
  line = await openCommandLine(story.local);
  sluice = line.run;
});
afterAll(async () => {
  await story[Symbol.asyncDispose]();
  await line[Symbol.asyncDispose]();
});

const PEOPLE: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};
const file = async (name: string, content: string | Uint8Array): Promise<void> =>
  await writeFile(join(line.folder, name), content);

describe("sluice upload", () => {
  /** More than two chunks of random text, so that compressing makes it no smaller than that. */
  const rows = Array.from(
    { length: 80_000 },
    (_, at) => `${at},${createHash("sha256").update(`${at}`).digest("hex")}\n`,
  );
  const whole = gzipSync(`id,name\n${rows.join("")}`);
  let actionId: string;

  beforeAll(async () => {
    await story.customer.put(`broken-${DAY}.csv.gz`, whole.subarray(0, whole.length / 2));
    const feedId = await story.feed("uploads", "people", PEOPLE);
    const pattern = "'broken-'yyyy-MM-dd'.csv.gz'";
    const courierId = await story.courier({ feedId, pattern });
    const { code, out } = await sluice(["run", courierId, "--date", DAY, "--json"]);
    expect(code).toBe(3);
    const { id } = JSON.parse(out.trim().split("\n").at(-1) ?? "");
    const { actions } = await story.workflows.listActions({ workflowId: id });
    expect(actions).toHaveLength(1);
    actionId = actions[0]?.id ?? "";
  });

  it("says which file it cannot read, and uploads nothing", async () => {
    const missing = await sluice(["upload", actionId, "nowhere.gz"]);
    expect(missing).toMatchObject({ code: 2, out: "" });
    expect(missing.err).toContain("nowhere.gz");
  });

  it("says that there is no such action", async () => {
    await file("small.gz", gzipSync("id,name\n1,Ada\n"));
    const nobody = await sluice(["upload", "act_nobody", "small.gz"]);
    expect(nobody).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/^not found: /) });
  });

  it("uploads a file of several chunks byte for byte, and the workflow goes on with it", async () => {
    expect(whole.byteLength).toBeGreaterThan(2 * 1024 * 1024);
    await file("whole.csv.gz", whole);
    const uploaded = await line.json(["upload", actionId, "whole.csv.gz"]);
    expect(uploaded).toMatchObject({
      replacement: {
        size: `${whole.byteLength}`,
        sha256: createHash("sha256").update(whole).digest("hex"),
      },
    });
    const { replacement } = JSON.parse(JSON.stringify(uploaded));
    const resolve = ["resolve", actionId, "attach_object", "--replacement-id", replacement.id];
    const resolved = await sluice(resolve);
    expect(resolved.code).toBe(0);
    expect(resolved.out).toMatch(/^rows +80000, 0 rejected$/m);
    expect(await story.rows("SELECT toUInt32(count()) AS n FROM uploads.people")).toEqual([
      { n: 80_000 },
    ]);
    const late = await sluice(["upload", actionId, "whole.csv.gz"]);
    expect(late).toMatchObject({ code: 1, out: "" });
  });
});

describe("sluice import", () => {
  const ENTITIES = `[{ "object/type": "file",
  "object/file-pattern": "'legacy/people_'MM-dd-yyyy'.csv'",
  "object/land-as": { "file/tag": "people", "file/content-type": "text/csv", "file/header-rows": 1 } }]`;
  const LOADS = `{ "df-1": [{ "type": "truncate" }, { "type": "load", "file": "people" }] }`;

  beforeAll(async () => {
    await story.feed("legacy", "people", PEOPLE);
    await story.customer.put("in/legacy/people_11-20-2026.csv", "id,name\n1,Ada\n2,Bo\n");
    await file("entities.json", ENTITIES);
    await file("loads.json", LOADS);
  });

  const files = ["Acme", "@entities.json", "@loads.json"];
  const options = ["--prefix", "in/", "--feed-ids", "{df-1: legacy.people}"];

  it("looks for problems and makes nothing", async () => {
    const looked = await line.json(["import", "Old", ...files, ...options, "--validate-only"]);
    expect(looked).toMatchObject({ courier: { name: "Old", prefix: "in/" } });
    expect((await story.couriers.listCouriers({})).couriers.map(({ name }) => name)).not.toContain(
      "Old",
    );
  });

  it("says what is wrong, in which document and where, and makes nothing", async () => {
    await file("wrong.json", `{ "df-1": [\n  { "type": "load", "file": "nobody" }] }`);
    const refused = await sluice([
      "import",
      "Old",
      "Acme",
      "@entities.json",
      "@wrong.json",
      ...options,
    ]);
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).toContain("load_operations_json");
    expect(refused.err).toContain("line 2");
    const unmapped = await sluice(["import", "Old", ...files]);
    expect(unmapped.code).toBe(2);
    expect(unmapped.err).toContain("df-1");
    const missing = await sluice(["import", "Old", "Acme", "@nowhere.json"]);
    expect(missing).toMatchObject({ code: 2, out: "" });
    expect(missing.err).toContain("nowhere.json");
  });

  it("makes a courier of the documents as they are, which runs by its name", async () => {
    const made = await sluice(["import", "Old", ...files, ...options]);
    expect(made).toMatchObject({ code: 0, err: "" });
    const ran = await sluice(["run", "old", "--date", DAY]);
    expect(ran.code).toBe(0);
    expect(await story.rows("SELECT id, name FROM legacy.people ORDER BY id")).toEqual([
      { id: 1, name: "Ada" },
      { id: 2, name: "Bo" },
    ]);
    const again = await sluice(["import", "Old", ...files, ...options]);
    expect(again).toMatchObject({ code: 1, out: "" });
    expect(again.err).toContain("already");
  });
});
