import { StageError } from "@sluice/errors";
import type { LoadOperation } from "@sluice/schema";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  countRows,
  dropStaging,
  listRejects,
  type PublishIntent,
  prepareDomainTable,
  publish,
  readPublishIntent,
  showRejects,
  verifyStaging,
  type Warehouse,
} from "../src/index.ts";
import { crashing } from "./crashing.ts";
import {
  feedOf,
  field,
  privateTables,
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

const feed = feedOf([field("id", "integer"), field("v", "string")], { source: "pub" });
const at = { source: "pub", name: "customers" };

async function stage(workflowId: string, ordinal: number, rows: readonly TestRow[]): Promise<void> {
  await stageRows(server, feed, rows, { workflowId, object: { ordinal } });
}

const visible = async (): Promise<string[]> => {
  const rows = await server.rows<{ r: string }>(
    "SELECT concat(toString(id), '=', v) AS r FROM pub.customers ORDER BY id",
  );
  return rows.map(({ r }) => r);
};

async function publishWhole(workflowId: string, operation: LoadOperation): Promise<unknown> {
  const outcome = await publishStaged(server, feed, workflowId, operation);
  await dropStaging(server.warehouse, at, workflowId);
  return outcome;
}

beforeEach(async () => {
  await server.admin("DROP DATABASE IF EXISTS pub SYNC");
  await prepareDomainTable(server.warehouse, feed);
  await stage("old", 1, [
    ["1", "old"],
    ["2", "old"],
  ]);
  await publishWhole("old", "load");
});

describe("publishing", () => {
  test("a load lets the newest of each key win", async () => {
    await stage("w", 2, [
      ["2", "new"],
      ["3", "first"],
      ["3", "second"],
    ]);
    expect(await visible()).toEqual(["1=old", "2=old"]);
    expect(await publishWhole("w", "load")).toBe("published");
    expect(await visible()).toEqual(["1=old", "2=new", "3=second"]);
    await server.admin("OPTIMIZE TABLE pub.customers__rows FINAL");
    expect(await visible()).toEqual(["1=old", "2=new", "3=second"]);
  });

  test("a load of a file of many batches moves all of their parts, more than the server's default", async () => {
    await stage("w", 2, [["1", "first"]]);
    // A block of one row is a part of its own, as a batch is.
    await server.admin(`INSERT INTO pub.customers__stg_w (id, v, _row)
      SELECT number + 10, 'more', number + 1 FROM numbers(1000)
      SETTINGS max_block_size = 1, min_insert_block_size_rows = 1, min_insert_block_size_bytes = 1`);
    const [parts] = await server.rows<{ n: string }>(
      "SELECT toString(count()) AS n FROM system.parts WHERE database = 'pub' AND table = 'customers__stg_w' AND active",
    );
    expect(Number(parts?.n)).toBeGreaterThan(1000);
    expect(await publishWhole("w", "load")).toBe("published");
    expect((await visible()).length).toBe(1002);
  });

  test("an older object that is loaded later does not win over a newer one", async () => {
    await stage("w", 5, [["1", "five"]]);
    await publishWhole("w", "load");
    await stage("x", 4, [["1", "four"]]);
    await publishWhole("x", "load");
    expect(await visible()).toEqual(["1=five", "2=old"]);
  });

  test("a truncate and load replaces all rows, and the table takes loads and merges after it", async () => {
    await stage("w", 2, [["7", "new"]]);
    expect(await publishWhole("w", "truncate_and_load")).toBe("published");
    expect(await visible()).toEqual(["7=new"]);
    await stage("x", 3, [
      ["7", "newer"],
      ["8", "new"],
    ]);
    expect(await publishWhole("x", "load")).toBe("published");
    expect(await visible()).toEqual(["7=newer", "8=new"]);
    await server.admin("OPTIMIZE TABLE pub.customers__rows FINAL");
    expect(await server.rows("SELECT toUInt32(count()) AS n FROM pub.customers__rows")).toEqual([
      { n: 2 },
    ]);
    expect(await privateTables(server, at)).toEqual([]);
  });

  test("the same workflow's rows twice changes nothing", async () => {
    const rows = [
      ["2", "new"],
      ["3", "new"],
    ];
    await stage("w", 2, rows);
    await publishWhole("w", "load");
    await stage("w", 2, rows);
    await publishWhole("w", "load");
    expect(await countRows(server.warehouse, at)).toBe(3);
  });

  test("moves rejects into the feed's quarantine, once", async () => {
    await stage("w", 2, [
      ["2", "new"],
      ["x", "bad"],
    ]);
    await showRejects(server.warehouse, feed, "w");
    await showRejects(server.warehouse, feed, "w");
    await publishWhole("w", "load");
    expect(await listRejects(server.warehouse, at, { workflowId: "w", limit: 10 })).toMatchObject([
      { key: "in/a.csv", row: 2, code: "bad_value", field: "id", value: "x" },
    ]);
  });
});

const crashPoints: readonly (readonly [RegExp, LoadOperation[]])[] = [
  [/^SELECT name, toString\(uuid\) AS uuid, engine_full/, ["load", "truncate_and_load"]],
  [/^RENAME/, ["load", "truncate_and_load"]],
  [/MOVE PARTITION.*__rejects` /, ["load", "truncate_and_load"]],
  [/MOVE PARTITION.*__rows` /, ["load"]],
  [/^EXCHANGE/, ["truncate_and_load"]],
];
const matrix = crashPoints.flatMap(([point, operations]) =>
  operations.flatMap((operation) =>
    (["before", "after"] as const).map((when) => ({ point, operation, when })),
  ),
);

describe("a publish that crashes", () => {
  test.each(matrix)(
    "$when $point ends in the same rows by the next attempt: $operation",
    async ({ point, operation, when }) => {
      await stage("w", 2, [
        ["2", "new"],
        ["3", "new"],
        ["x", "bad"],
      ]);
      const intent = await readPublishIntent(server.warehouse, feed, "w", operation);
      const base = { feed, workflowId: "w", intent };
      await expect(
        publish({ ...base, warehouse: crashing(server.warehouse, point, when), attempt: 1 }),
      ).rejects.toThrow("crashed");
      const next = await publish({ ...base, warehouse: server.warehouse, attempt: 2 });
      const wasDone = when === "after" && /rows`|EXCHANGE/.test(point.source);
      expect(next).toBe(wasDone ? "already_published" : "published");
      const wanted = operation === "load" ? ["1=old", "2=new", "3=new"] : ["2=new", "3=new"];
      expect(await visible()).toEqual(wanted);
      expect(await publish({ ...base, warehouse: server.warehouse, attempt: 3 })).toBe(
        "already_published",
      );
      expect(await visible()).toEqual(wanted);
      expect(await listRejects(server.warehouse, at, { limit: 10 })).toHaveLength(1);
    },
  );

  test.each(["load", "truncate_and_load"] as const)(
    "with the server itself ends in the same rows: %s",
    { timeout: 60_000 },
    async (operation) => {
      await stage("w", 2, [
        ["2", "new"],
        ["x", "bad"],
      ]);
      const intent = await readPublishIntent(server.warehouse, feed, "w", operation);
      const base = { feed, workflowId: "w", intent, warehouse: server.warehouse };
      await publish({ ...base, attempt: 1 });
      await server.crash();
      await server.restart();
      await publish({ ...base, attempt: 2 });
      expect(await visible()).toEqual(operation === "load" ? ["1=old", "2=new"] : ["2=new"]);
      expect(await listRejects(server.warehouse, at, { limit: 10 })).toHaveLength(1);
    },
  );
});

describe("a move that a killed server left half done", () => {
  /** The state that it leaves: parts are in the one table, and not yet out of the other. */
  async function copyParts(from: string, to: string, parts: "all" | "one"): Promise<void> {
    const names = await server.rows<{ name: string }>(
      `SELECT name FROM system.parts WHERE active AND database = 'pub' AND table = '${from}' ORDER BY name`,
    );
    expect(names.length).toBeGreaterThan(1);
    await server.admin(`CREATE TABLE pub.part AS pub.${from}`);
    await server.admin(`ALTER TABLE pub.part ATTACH PARTITION tuple() FROM pub.${from}`);
    const [first] = await server.rows<{ name: string }>(
      "SELECT name FROM system.parts WHERE active AND database = 'pub' AND table = 'part' ORDER BY name",
    );
    if (parts === "one") await server.admin(`ALTER TABLE pub.part DROP PART '${first?.name}'`);
    await server.admin(`ALTER TABLE pub.${to} ATTACH PARTITION tuple() FROM pub.part`);
    await server.admin("DROP TABLE pub.part SYNC");
  }
  const below = async (table: string): Promise<unknown[]> =>
    await server.rows(`SELECT _file AS file, _row AS row FROM pub.${table} WHERE _workflow = 'w'`);
  const stageTwice = async (): Promise<PublishIntent> => {
    // Merges would take away what is there twice before it is counted.
    await server.admin("SYSTEM STOP MERGES pub.customers__rows");
    await server.admin("SYSTEM STOP MERGES pub.customers__rejects");
    for (const [at, id] of ["2", "3"].entries()) {
      const object = { ordinal: 2 + at, key: `in/${at}.csv` };
      const rows = [
        [id, "new"],
        ["x", "bad"],
      ];
      await stageRows(server, feed, rows, { workflowId: "w", object });
    }
    return await readPublishIntent(server.warehouse, feed, "w", "load");
  };
  const expectOnce = async (): Promise<void> => {
    expect(await visible()).toEqual(["1=old", "2=new", "3=new"]);
    expect(await below("customers__rows")).toHaveLength(2);
    expect(await below("customers__rejects")).toHaveLength(2);
  };

  test.each(["all", "one"] as const)(
    "is ended by the next attempt, each row there once, when %s of its parts had come",
    async (parts) => {
      const base = { feed, workflowId: "w", intent: await stageTwice() };
      const warehouse = crashing(server.warehouse, /MOVE PARTITION.*__rejects` /, "before");
      await expect(publish({ ...base, warehouse, attempt: 1 })).rejects.toThrow("crashed");
      await copyParts("customers__stg_w__rejects", "customers__rejects", parts);
      await copyParts("customers__pub_w_1", "customers__rows", parts);
      await publish({ ...base, warehouse: server.warehouse, attempt: 2 });
      await expectOnce();
    },
  );

  test.each(["all", "one"] as const)(
    "is ended by the repeated statement, each row there once, when %s of its parts had come",
    async (parts) => {
      const intent = await stageTwice();
      let moves = 0;
      const warehouse: Warehouse = {
        ...server.warehouse,
        async executeOnce(statement) {
          if (!/MOVE PARTITION.*__rows` /.test(statement) || ++moves > 1) {
            return await server.warehouse.executeOnce(statement);
          }
          await copyParts("customers__pub_w_1", "customers__rows", parts);
          throw new StageError("load", "unavailable", "the server was killed");
        },
      };
      expect(await publish({ feed, workflowId: "w", intent, warehouse, attempt: 1 })).toBe(
        "published",
      );
      expect(moves).toBe(2);
      await expectOnce();
    },
  );
});

describe("what follows a publish", () => {
  const replace = async (workflowId: string, ordinal: number): Promise<void> => {
    await stage(workflowId, ordinal, [["7", workflowId]]);
    const intent = await readPublishIntent(server.warehouse, feed, workflowId, "truncate_and_load");
    const base = { warehouse: server.warehouse, feed, workflowId, intent };
    await publish({ ...base, attempt: 1, keepReplaced: true });
  };
  const tables = async (): Promise<string[]> => {
    const found = await server.rows<{ name: string }>(
      "SELECT name FROM system.tables WHERE database = 'pub' AND name LIKE 'customers\\_\\_%' ORDER BY name",
    );
    return found.map(({ name }) => name.replace("customers__", ""));
  };
  const unmerging = async (): Promise<string[]> => {
    const found = await server.rows<{ name: string }>(
      "SELECT name FROM system.tables WHERE database = 'pub' AND engine_full LIKE '%max\\_bytes\\_to\\_merge%' ORDER BY name",
    );
    return found.map(({ name }) => name);
  };

  test("waits for no disk: what was kept before is a private table, and settings stay until they are dropped", async () => {
    await replace("w", 2);
    await dropStaging(server.warehouse, at, "w");
    await replace("x", 3);
    expect(await visible()).toEqual(["7=x"]);
    expect(await tables()).toEqual([
      "kept_x",
      "rejects",
      "rows",
      "stg_x__before_w",
      "stg_x__rejects",
    ]);
    expect(await unmerging()).toEqual(["customers__rows"]);
  });

  test.each(
    [/DROP TABLE/, /RESET SETTING .*/, /^SELECT name/].flatMap((point) =>
      (["before", "after"] as const).map((when) => ({ point, when })),
    ),
  )("crashes $when $point and is done by the next attempt", async ({ point, when }) => {
    await replace("w", 2);
    await replace("x", 3);
    await expect(dropStaging(crashing(server.warehouse, point, when), at, "x")).rejects.toThrow(
      "crashed",
    );
    await dropStaging(server.warehouse, at, "x");
    await dropStaging(server.warehouse, at, "w");
    expect(await tables()).toEqual(["kept_x", "rejects", "rows"]);
    expect(await unmerging()).toEqual([]);
    expect(await visible()).toEqual(["7=x"]);
    await dropStaging(server.warehouse, at, "x");
  });

  test("of a workflow that was overtaken leaves what the later one keeps", async () => {
    await replace("w", 2);
    await replace("x", 3);
    await dropStaging(server.warehouse, at, "w");
    expect(await tables()).toContain("kept_x");
    expect(await unmerging()).toEqual([]);
    await dropStaging(server.warehouse, at, "x");
    expect(await tables()).toEqual(["kept_x", "rejects", "rows"]);
  });
});

describe("two attempts at once", () => {
  const attempt = async (
    intent: PublishIntent,
    number: number,
    warehouse: Warehouse = server.warehouse,
  ): Promise<unknown> =>
    await publish({ warehouse, feed, workflowId: "w", attempt: number, intent });

  test.each(["load", "truncate_and_load"] as const)(
    "the older one is fenced off, however far it was: %s",
    async (operation) => {
      await stage("w", 2, [["2", "new"]]);
      const intent = await readPublishIntent(server.warehouse, feed, "w", operation);
      const { warehouse } = server;
      // The older attempt sleeps right before its last statement, while the newer one does everything.
      const asleep: Warehouse = { ...warehouse };
      const last = async (statement: string, run: () => Promise<void>): Promise<void> => {
        if (/^EXCHANGE|TO TABLE .*__rows` /.test(statement)) await attempt(intent, 2);
        await run();
      };
      const older: Warehouse = {
        ...asleep,
        execute: async (statement) =>
          await last(statement, async () => await warehouse.execute(statement)),
        executeOnce: async (statement) =>
          await last(statement, async () => await warehouse.executeOnce(statement)),
      };
      await expect(attempt(intent, 1, older)).rejects.toMatchObject({
        stage: "publish",
        code: "conflict",
      });
      const wanted = operation === "load" ? ["1=old", "2=new"] : ["2=new"];
      expect(await visible()).toEqual(wanted);
      await expect(attempt(intent, 1)).rejects.toMatchObject({
        stage: "publish",
        code: "conflict",
      });
      expect(await visible()).toEqual(wanted);
    },
  );

  test.each(["load", "truncate_and_load"] as const)(
    "started together end in one publication: %s",
    async (operation) => {
      await stage("w", 2, [
        ["2", "new"],
        ["3", "new"],
      ]);
      const intent = await readPublishIntent(server.warehouse, feed, "w", operation);
      await Promise.allSettled([1, 2, 3].map(async (number) => await attempt(intent, number)));
      await attempt(intent, 4);
      expect(await visible()).toEqual(
        operation === "load" ? ["1=old", "2=new", "3=new"] : ["2=new", "3=new"],
      );
    },
  );

  test("a table that somebody else replaced is a conflict, and stays as it is", async () => {
    await stage("w", 2, [["2", "new"]]);
    const intent = await readPublishIntent(server.warehouse, feed, "w", "truncate_and_load");
    await stage("other", 3, [["9", "other"]]);
    await publishWhole("other", "truncate_and_load");
    await expect(attempt(intent, 1)).rejects.toMatchObject({ stage: "publish", code: "conflict" });
    expect(await visible()).toEqual(["9=other"]);
  });

  test("staging that is gone is a conflict", async () => {
    await stage("w", 2, [["2", "new"]]);
    const intent = await readPublishIntent(server.warehouse, feed, "w", "load");
    await dropStaging(server.warehouse, at, "w");
    await expect(attempt(intent, 1)).rejects.toMatchObject({ stage: "publish", code: "conflict" });
  });
});

describe("verification", () => {
  const verify = async (rows: number, errorThresholdPercent = 1): Promise<unknown> =>
    await verifyStaging({
      warehouse: server.warehouse,
      feed: { ...feed, errorThresholdPercent },
      workflowId: "w",
      sent: [{ key: "in/a.csv", rows }],
    });

  test("counts rows and rejects of every object", async () => {
    await stage("w", 2, [
      ["2", "a"],
      ["2", "b"],
      ["x", "c"],
    ]);
    expect(await verify(3, 50)).toEqual({ rows: 2, rejected: 1 });
  });

  test.each([2, 4])("refuses staging of three rows when %i were sent", async (sent) => {
    await stage("w", 2, [
      ["2", "a"],
      ["2", "b"],
      ["x", "c"],
    ]);
    await expect(verify(sent, 50)).rejects.toMatchObject({
      stage: "publish",
      code: "unverified",
      coordinate: { key: "in/a.csv" },
    });
  });

  test("refuses rows of an object that nobody sent", async () => {
    await stage("w", 2, [["2", "a"]]);
    await expect(
      verifyStaging({ warehouse: server.warehouse, feed, workflowId: "w", sent: [] }),
    ).rejects.toMatchObject({ code: "unverified" });
  });

  test("fails over the error threshold with counts and places, not at it", async () => {
    await stage("w", 2, [
      ["2", "a"],
      ["3", "b"],
      ["x", "c"],
      [null, "d"],
    ]);
    expect(await verify(4, 50)).toEqual({ rows: 2, rejected: 2 });
    const failure = await verify(4, 49).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      stage: "cast",
      code: "threshold_exceeded",
      coordinate: { key: "in/a.csv", row: 3, column: "id" },
      seen: "50.00 %",
    });
    expect(String(failure)).toContain("1 x cast.bad_value in id, 1 x cast.primary_key_null in id");
    expect(await visible()).toEqual(["1=old", "2=old"]);
  });
});
