import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import type { Lease } from "@sluice/api/ingest/v1/task_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database/database.ts";
import { forgetLoadedFiles } from "../src/workflow/loaded-files.ts";
import {
  doAll,
  doWell,
  type House,
  hasPostgres,
  makeStatePlace,
  objectsOf,
  openHouse,
  type StatePlace,
} from "./workflow-house.ts";

type Found = ReturnType<typeof objectsOf>;

const [A, B, C] = ["2026-03-01/a", "2026-03-01/b", "2026-03-01/c"];

function changed(objects: Found, etag: string): Found {
  return objects.map((object) => ({ ...object, etag }));
}

/** Runs a courier to its end, and gives the keys that were loaded. */
async function loadedBy(
  house: House,
  courier: string,
  found: Found,
  options: { reloadUnchanged?: boolean } = {},
): Promise<string[]> {
  await house.run(courier, options);
  return keysOf(await doAll(house, found));
}

function keysOf(leases: readonly Lease[]): string[] {
  return leases.flatMap(({ work }) =>
    work.case === "loadObject" ? [work.value.object?.key ?? ""] : [],
  );
}

/** Works until a lease of this kind comes, and gives it without beginning it. */
async function upTo(house: House, kind: Lease["work"]["case"], found: Found): Promise<Lease> {
  for (;;) {
    const leases = await house.claim("steps", { capacity: 1 });
    const [lease] = leases;
    if (lease === undefined) throw new Error(`no ${kind} came`);
    if (lease.work.case === kind) return lease;
    await doWell(house, lease, found);
  }
}

for (const kind of ["PGlite", "PostgreSQL"] as const) {
  const isThere = kind === "PGlite" || (await hasPostgres());
  describe.skipIf(!isThere)(`loaded files kept by ${kind}`, { timeout: 30_000 }, () => {
    let place: StatePlace;
    let database: Database;
    beforeAll(async () => {
      place = await makeStatePlace(kind);
      database = await openDatabase(place.options);
    });
    afterAll(async () => {
      await database.close();
      await place[Symbol.asyncDispose]();
    });

    test("a file is passed over until its version changes, back to an old one included", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      const found = objectsOf("orders", A, B);
      expect(await loadedBy(house, courier, found)).toEqual([A, B]);
      expect(await loadedBy(house, courier, [...found, ...objectsOf("orders", C)])).toEqual([C]);
      const onlyA = objectsOf("orders", A);
      expect(await loadedBy(house, courier, changed(onlyA, '"new"'))).toEqual([A]);
      expect(await loadedBy(house, courier, changed(onlyA, '"new"'))).toEqual([]);
      expect(await loadedBy(house, courier, onlyA)).toEqual([A]);
      expect(await loadedBy(house, courier, onlyA, { reloadUnchanged: true })).toEqual([A]);
    });

    test("the same file read in another way is another file, and the first way then is stale", async () => {
      await using house = openHouse(database);
      const plain = await house.courier({ loads: { lines: "orders" } });
      const tabs = { format: { case: "delimited", value: { delimiter: "\t" } } } as const;
      const other = await house.courier({
        loads: { lines: "orders" },
        settings: { orders: tabs },
      });
      const found = objectsOf("orders", A);
      expect(await loadedBy(house, plain, found)).toEqual([A]);
      expect(await loadedBy(house, other, found)).toEqual([A]);
      expect(await loadedBy(house, other, found)).toEqual([]);
      expect(await loadedBy(house, plain, found)).toEqual([A]);
    });

    test("a truncate and load is passed over as a whole, or not at all", async () => {
      await using house = openHouse(database);
      const operation = LoadOperation.TRUNCATE_AND_LOAD;
      const replacing = await house.courier({ loads: { lines: "orders" }, operation });
      const adding = await house.courier({ loads: { lines: "more" } });
      const both = objectsOf("orders", A, B);
      expect(await loadedBy(house, replacing, both)).toEqual([A, B]);
      expect(await loadedBy(house, replacing, both)).toEqual([]);
      // Fewer files, or one that changed, replace the table: every row of it has to come anew.
      expect(await loadedBy(house, replacing, objectsOf("orders", A))).toEqual([A]);
      expect(await loadedBy(house, replacing, both)).toEqual([A, B]);
      expect(await loadedBy(house, adding, objectsOf("more", C))).toEqual([C]);
      expect(await loadedBy(house, replacing, both)).toEqual([A, B]);
      // The rows of the other courier went with it.
      expect(await loadedBy(house, adding, objectsOf("more", C))).toEqual([C]);
    });

    test("a run that listed earlier and publishes later leaves the newer version on record", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      const old = objectsOf("orders", A);
      await house.run(courier);
      const slow = await upTo(house, "loadObject", old);
      expect(await loadedBy(house, courier, changed(old, '"new"'))).toEqual([A]);
      await doWell(house, slow);
      await doAll(house);
      expect(await loadedBy(house, courier, changed(old, '"new"'))).toEqual([]);
      expect(await loadedBy(house, courier, old)).toEqual([A]);
    });

    test("a publish whose outcome is not known leaves nothing on record", async () => {
      await using house = openHouse(database, { retry: { maxAttempts: 1 } });
      const courier = await house.courier({ loads: { lines: "orders" } });
      expect(await loadedBy(house, courier, objectsOf("orders", A))).toEqual([A]);
      const id = await house.run(courier);
      const publish = await upTo(house, "publish", objectsOf("orders", B));
      await house.tasks.failTask({
        taskId: publish.taskId,
        attempt: publish.attempt,
        failure: { stage: Stage.PUBLISH, code: "conflict", message: "who knows" },
      });
      expect((await house.workflows.getWorkflow({ id })).workflow?.state).toBe(
        Workflow_State.FAILED,
      );
      await doAll(house);
      expect(await loadedBy(house, courier, objectsOf("orders", A, B))).toEqual([A, B]);
    });

    test("a run that passed over a file which another run took away meanwhile says so", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      const operation = LoadOperation.TRUNCATE_AND_LOAD;
      const replacing = await house.courier({ loads: { lines: "more" }, operation });
      await loadedBy(house, courier, objectsOf("orders", A));
      const id = await house.run(courier);
      const slow = await upTo(house, "loadObject", objectsOf("orders", A, B));
      expect(await loadedBy(house, replacing, objectsOf("more", C))).toEqual([C]);
      await doWell(house, slow);
      await doAll(house);
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow?.warnings.at(-1)).toMatch(/^Of the files that were skipped, 1 have no rows/);
      expect(await loadedBy(house, courier, objectsOf("orders", A, B))).toEqual([A]);
    });

    test("what a feed forgets is loaded again: of one workflow, or all", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      await loadedBy(house, courier, objectsOf("orders", A));
      const second = await house.run(courier);
      await doAll(house, objectsOf("orders", A, B));
      const both = objectsOf("orders", A, B);
      const of = { workflowId: second };
      await forgetLoadedFiles(database.kysely, house.tenant, "lines", of);
      expect(await loadedBy(house, courier, both)).toEqual([B]);
      await forgetLoadedFiles(database.kysely, house.tenant, "lines");
      expect(await loadedBy(house, courier, both)).toEqual([A, B]);
    });

    test("files of equal content under other names are told, loaded before or now", async () => {
      await using house = openHouse(database);
      const courier = await house.courier({ loads: { lines: "orders" } });
      await loadedBy(house, courier, changed(objectsOf("orders", A), '"same"'));
      const id = await house.run(courier);
      await doAll(house, changed(objectsOf("orders", B, C), '"same"'));
      const { workflow } = await house.workflows.getWorkflow({ id });
      expect(workflow?.warnings).toEqual([
        expect.stringMatching(/^2026-03-01\/b has the same content .* as 2026-03-01\/a, loaded on/),
        expect.stringMatching(/^2026-03-01\/c has the same content .* as 2026-03-01\/a, loaded on/),
        expect.stringMatching(/^2026-03-01\/c has the same .* as 2026-03-01\/b, also loaded now/),
      ]);
    });
  });
}
