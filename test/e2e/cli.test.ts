import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCli } from "@sluice/cli";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CommandLine, openCommandLine } from "./command-line.ts";
import { DAY, type Story, startStory } from "./story.ts";

/** The command line against the running product. */

let story: Story;
let line: CommandLine;
let sluice: CommandLine["run"];
let json: CommandLine["json"];
beforeAll(async () => {
  story = await startStory();
  line = await openCommandLine(story.local);
  ({ run: sluice, json } = line);
  await story.customer.put(`people/${DAY}.csv`, "id,name,points\n1,Ada,7\n2,Smith,x\n3,日向,9\n");
});
afterAll(async () => {
  await story[Symbol.asyncDispose]();
  await line[Symbol.asyncDispose]();
});

const FEED = `
source: shop
name: people
spec:
  primaryKey: [id]
  errorThresholdPercent: 50
  fields:
    - {incomingName: id, type: {integer: {}}, require: true}
    - {incomingName: name, type: {string: {}}, semanticTags: [full-name]}
    - {incomingName: points, type: {integer: {}}}
`;

describe("from a credential to rows, by names instead of ids (SC-3, SC-8, CR-23, CO-8, RU-1)", () => {
  it("makes a credential, and tests it", async () => {
    const added = await sluice([
      ...["credential", "add-role", "By hand", "--bucket", story.customer.bucket],
      ...["--target-role-arn", story.customer.roleArn],
    ]);
    expect(added).toMatchObject({ code: 0, out: expect.stringContaining("name: By hand") });
    expect((await sluice(["credential", "test", "by hand"])).out).toContain(
      "Connection successful",
    );
    const policy: unknown = JSON.parse((await sluice(["trust-policy"])).out);
    expect(policy).toMatchObject({ Statement: [{ Action: "sts:AssumeRole" }] });
  });

  it("browses folders and files", async () => {
    expect((await sluice(["browse", "By hand"])).out).toMatch(/^people\/$/m);
    const { out } = await sluice(["browse", "By hand", "people/"]);
    expect(out).toMatch(/^KEY +SIZE/);
    expect(out).toMatch(new RegExp(`^people/${DAY}.csv +\\d+`, "m"));
  });

  it("takes a feed from a YAML file or standard input, and changes what flags name", async () => {
    await writeFile(join(line.folder, "people.yaml"), FEED);
    expect(await json(["feed", "create", "-f", "people.yaml"])).toMatchObject({
      feed: { state: "STATE_DRAFT", spec: { primaryKey: ["id"] } },
    });
    expect(
      await json(["feed", "update", "shop.people", "--spec.make-available-to-stitch"]),
    ).toMatchObject({ feed: { spec: { makeAvailableToStitch: true, primaryKey: ["id"] } } });
    expect(await json(["feed", "activate", "shop.people"])).toMatchObject({
      feed: { state: "STATE_ACTIVE" },
    });
    const second = await sluice(["feed", "create", "-f", "-"], FEED);
    expect(second).toMatchObject({ code: 1, err: expect.stringContaining("already exists") });
  });

  it("makes a courier, runs it, and shows its rows and its rejects", async () => {
    const feed = await json(["feed", "get", "shop.people"]);
    const feedId = JSON.parse(JSON.stringify(feed)).feed.id;
    const made = await sluice([
      ...["courier", "create", "--name", "People", "--credential-id", "By hand"],
      ...[
        "--files",
        `{tag: people, pattern: "'people/'yyyy-MM-dd'.csv'", settings: {delimited: {}}}`,
      ],
      ...["--loads", `{feedId: ${feedId}, fileTag: people, operation: LOAD_OPERATION_LOAD}`],
    ]);
    expect(made).toMatchObject({ code: 0, err: "" });

    const ran = await sluice(["run", "people", "--date", DAY]);
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/^state +succeeded$/m);
    expect(ran.out).toMatch(/^rows +3, 1 rejected$/m);

    const rows = await sluice(["rows", "shop.people", "10"]);
    expect(rows.out).toMatch(/^ID +NAME +POINTS/);
    expect(rows.out).toMatch(/^3 +日向 +9/m);
    expect((await sluice(["rejects", "shop.people"])).out).toMatch(/points +x /);
  });

  it("makes a feed together with its courier, and configures it from a sample (FE-2, FE-3, FE-4)", async () => {
    const made = await json([
      ...["courier", "create", "--name", "Guided", "--credential-id", "By hand"],
      ...["--files", `{tag: people, key: people/${DAY}.csv, settings: {delimited: {}}}`],
      ...[
        "--loads",
        "{newFeed: {source: guided, name: people}, fileTag: people, operation: LOAD_OPERATION_LOAD}",
      ],
    ]);
    expect(made).toMatchObject({
      courier: { loads: [{ feedId: expect.stringMatching(/^feed_/) }] },
    });
    const sample = ["infer", "By hand", `people/${DAY}.csv`, "--pick", "inferred.draft"];
    const { out: spec } = await sluice(sample);
    expect(await json(["feed", "update", "guided.people", "--spec", "@-"], spec)).toMatchObject({
      feed: { state: "STATE_DRAFT", spec: { primaryKey: ["id"] } },
    });
    await json(["feed", "activate", "guided.people"]);
    const ran = await sluice(["run", "guided", "--date", DAY]);
    expect(ran.out).toMatch(/^rows +3, 0 rejected$/m);

    const taken = await sluice([
      ...["courier", "create", "--name", "Other", "--credential-id", "By hand"],
      ...["--files", "{tag: people, key: other.csv, settings: {delimited: {}}}"],
      ...[
        "--loads",
        "{newFeed: {source: guided, name: People}, fileTag: people, operation: LOAD_OPERATION_LOAD}",
      ],
    ]);
    expect(taken.code).toBe(2);
    expect(taken.err).toContain("courier.loads[0].new_feed.name");
  });

  it("ends with 3 when the workflow failed, and says stage, code, place and advice", async () => {
    const { code, out } = await sluice(["run", "people", "--date", "2026-11-19"]);
    expect(code).toBe(3);
    expect(out).toContain("list.file_not_found:");
    expect(out).toMatch(/^ +where +s3:\/\/acme-exports\/people\/2026-11-19.csv$/m);
    expect(out).toMatch(/^ +what to do +\S/m);
  });

  it("ends with 0 when there was nothing to load", async () => {
    const { code, out } = await sluice(["run", "people", "--date", DAY]);
    expect(code).toBe(0);
    expect(out).toMatch(/^state +skipped$/m);
  });

  it("prints a JSON for every change, the last one with the end", async () => {
    const { code, out } = await sluice([
      "run",
      "people",
      "--date",
      DAY,
      "--reload-unchanged",
      "--json",
    ]);
    expect(code).toBe(0);
    const states = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).state);
    expect(states.at(-1)).toBe("STATE_SUCCEEDED");
    expect(states.length).toBeGreaterThan(1);
  });

  it("draws a progress bar for a person", async () => {
    let err = "";
    const code = await runCli(["run", "people", "--date", DAY, "--reload-unchanged"], {
      env: line.env,
      isInteractive: true,
      columns: 100,
      out: () => {},
      err: (text) => {
        err += text;
      },
      readInput: async () => Buffer.alloc(0),
      signal: new AbortController().signal,
    });
    expect(code).toBe(0);
    expect(err).toMatch(/\r\S*\[#+\] 100 % {2}\w+ {2}3 rows/);
    expect(err.endsWith("\r\u001b[K")).toBe(true);
  });
});

it("calls any method by JSON, and names the fields of a refused request", async () => {
  expect(await json(["call", "SourceService/ListPlugins", '{"search": "ama"}'])).toMatchObject({
    plugins: [{ id: "amazon-s3" }],
  });
  const refused = await sluice(["call", "CredentialService/GetCredential", '{"id": "nobody"}']);
  expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/^not found: /) });
  const forMachines = await sluice(["call", "--json", "FeedService/GetFeed", '{"id": "nobody"}']);
  expect(JSON.parse(forMachines.err)).toMatchObject({ code: "not_found", fields: [] });
  const bucket = await sluice([
    ...["credential", "add-keys", "Keys", "--access-key-id", "a", "--secret-access-key", "b"],
    ...["--bucket", "Not_A_Bucket"],
  ]);
  expect(bucket.code).toBe(2);
  expect(bucket.err).toContain("credential.access_key.bucket: ");
});
