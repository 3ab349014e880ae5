import type { Feed } from "@sluice/schema";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  feedOf,
  field,
  publishStaged,
  stageRows,
  startTestServer,
  type TestRow,
  type TestServer,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());
beforeEach(async () => await server.admin("DROP DATABASE IF EXISTS newest SYNC"));

const generated = feedOf([field("id", "integer"), field("v", "string")], { source: "newest" });

/** An entry of an object, as a load reads it. */
interface Part {
  readonly key: string;
  readonly date?: string;
  readonly ordinal: number;
  readonly entry?: string;
  readonly rowBase?: number;
  readonly rows: readonly TestRow[];
}

/** Loads the parts in the order given, which is not the order that counts, and publishes them as one load. */
async function load(feed: Feed, workflowId: string, parts: readonly Part[]): Promise<void> {
  for (const { key, date, ordinal, rows, ...place } of parts) {
    const object = { key, ordinal, ...(date === undefined ? {} : { date }) };
    await stageRows(server, feed, rows, { ...place, workflowId, object });
  }
  await publishStaged(server, feed, workflowId);
}

const visible = async (): Promise<string> => {
  const [row] = await server.rows<{ v: string }>("SELECT v FROM newest.customers WHERE id = 1");
  await server.admin("OPTIMIZE TABLE newest.customers__rows FINAL");
  const [merged] = await server.rows<{ v: string }>(
    "SELECT v FROM newest.customers__rows WHERE id = 1",
  );
  expect(merged).toEqual(row);
  return row?.v ?? "";
};

describe("of two rows of one key, without a last-updated field,", () => {
  test("that of a new load beats the existing one, though its file is of an earlier day", async () => {
    await load(generated, "w1", [
      { key: "b", date: "2024-01-02", ordinal: 1, rows: [["1", "existing"]] },
    ]);
    await load(generated, "w2", [
      { key: "a", date: "2024-01-01", ordinal: 2, rows: [["1", "new"]] },
    ]);
    expect(await visible()).toBe("new");
  });

  test("that of the later day beats the earlier day's, whichever is loaded first", async () => {
    await load(generated, "w", [
      { key: "z", date: "2024-01-02", ordinal: 2, rows: [["1", "later day"]] },
      { key: "a", date: "2024-01-01", ordinal: 1, rows: [["1", "earlier day"]] },
    ]);
    expect(await visible()).toBe("later day");
  });

  test("that of the later file of one day beats the earlier file's, though it has fewer rows", async () => {
    await load(generated, "w", [
      { key: "b", date: "2024-01-01", ordinal: 2, rows: [["1", "later file"]] },
      {
        key: "a",
        date: "2024-01-01",
        ordinal: 1,
        rows: [
          ["2", "x"],
          ["1", "earlier file"],
        ],
      },
    ]);
    expect(await visible()).toBe("later file");
  });

  test("the last one in a file wins", async () => {
    await load(generated, "w", [
      {
        key: "a",
        ordinal: 1,
        rows: [
          ["1", "first"],
          ["2", "x"],
          ["1", "last"],
        ],
      },
    ]);
    expect(await visible()).toBe("last");
  });

  test("that of an archive's later entry beats the earlier entry's, and keeps its own number", async () => {
    const parts: readonly Part[] = [
      { key: "a.zip", ordinal: 1, entry: "2.csv", rowBase: 3, rows: [["1", "later entry"]] },
      {
        key: "a.zip",
        ordinal: 1,
        entry: "1.csv",
        rowBase: 0,
        rows: [
          ["2", "x"],
          ["3", "x"],
          ["1", "earlier entry"],
        ],
      },
    ];
    await load(generated, "w", parts);
    expect(await visible()).toBe("later entry");
    expect(
      await server.rows("SELECT toUInt8(_row) AS row, _entry FROM newest.customers WHERE id = 1"),
    ).toEqual([{ row: 1, _entry: "2.csv" }]);
  });
});

describe.each(["integer", "datetime"] as const)("with a last-updated field of type %s", (type) => {
  const feed: Feed = {
    ...generated,
    fields: [...generated.fields, field("changed", type)],
    lastUpdatedField: "changed",
  };
  const [low, high] =
    type === "integer" ? ["-7", "3"] : ["1969-12-31 23:59:59.999999", "1970-01-01 00:00:00"];

  test("the larger value wins over every order of loading", async () => {
    await load(feed, "w1", [{ key: "a", ordinal: 1, rows: [["1", "larger", high ?? ""]] }]);
    await load(feed, "w2", [
      {
        key: "b",
        ordinal: 2,
        rows: [
          ["1", "smaller", low ?? ""],
          ["1", "null", null],
        ],
      },
    ]);
    expect(await visible()).toBe("larger");
  });

  test("null is lower than the lowest value, and equal values fall back to the order of loading", async () => {
    const least = type === "integer" ? "-9223372036854775808" : "0001-01-05 00:00:00";
    await load(feed, "w1", [
      {
        key: "a",
        ordinal: 1,
        rows: [
          ["1", "least", least],
          ["1", "null", null],
        ],
      },
    ]);
    // The lowest integer has no room below it: there a null of a later place is not told apart.
    expect(await visible()).toBe(type === "integer" ? "null" : "least");
    await load(feed, "w2", [{ key: "b", ordinal: 2, rows: [["1", "equal", least]] }]);
    expect(await visible()).toBe("equal");
  });
});
