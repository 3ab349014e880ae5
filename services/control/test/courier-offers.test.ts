import { create } from "@bufbuild/protobuf";
import { Stage, type StageFailure, StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import type { Lease } from "@sluice/api/ingest/v1/task_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database/database.ts";
import {
  doWell,
  type House,
  hasPostgres,
  makeStatePlace,
  objectsOf,
  openHouse,
  type StatePlace,
} from "./workflow-house.ts";

/** What is offered to change the courier, by whether an ingest query has yet to read the file. */

const WRONG_LAYER: StageFailure = create(StageFailureSchema, {
  stage: Stage.DECOMPRESS,
  code: "not_this_container",
  proposedChange: {
    updateMask: { paths: ["compression"] },
    value: { compression: "COMPRESSION_GZIP" },
  },
});

const keyOf = ({ work }: Lease): string =>
  work.case === "loadObject" ? (work.value.object?.key ?? "") : "";
const isOfQuery = ({ work }: Lease): boolean =>
  work.case === "loadObject" && work.value.ingestQuery !== undefined;

/** The loads of a workflow of a query over files a and b, and of file a alone. */
async function begun(house: House): Promise<{ id: string; loads: readonly Lease[] }> {
  const loads = { joined: ["a", "b"], plain: "a" };
  const id = await house.run(await house.courier({ loads }));
  const [list] = await house.claim("w");
  if (list === undefined) throw new Error("nothing is listed");
  await doWell(house, list, [...objectsOf("a", "a-1"), ...objectsOf("b", "b-1")]);
  return { id, loads: await house.claim("w") };
}

async function fail(house: House, { taskId, attempt }: Lease): Promise<void> {
  await house.tasks.failTask({ taskId, attempt, failure: WRONG_LAYER });
}

/** The ids of what the workflow's open actions offer, without what is always offered. */
async function offered(house: House, workflowId: string): Promise<string[][]> {
  const { actions } = await house.workflows.listActions({ workflowId });
  return actions.map(({ resolutions }) =>
    resolutions.map(({ id }) => id).filter((id) => id.startsWith("patch")),
  );
}

for (const kind of ["PGlite", "PostgreSQL"] as const) {
  const isThere = kind === "PGlite" || (await hasPostgres());
  describe.skipIf(!isThere)(`a change of the courier on ${kind}`, { timeout: 60_000 }, () => {
    let place: StatePlace;
    let database: Database;
    beforeAll(async () => {
      place = await makeStatePlace(kind);
      database = await openDatabase(place.options);
    }, 60_000);
    afterAll(async () => {
      await database.close();
      await place[Symbol.asyncDispose]();
    });

    test("comes with a restart while a query has yet to read the file that is opened otherwise", async () => {
      await using house = openHouse(database);
      const { id, loads } = await begun(house);
      for (const load of loads) {
        if (isOfQuery(load) && keyOf(load) === "b-1") await fail(house, load);
        else await doWell(house, load);
      }
      expect(await offered(house, id)).toEqual([["patch_and_restart"]]);
      const { actions } = await house.workflows.listActions({ workflowId: id });
      const { workflowId } = await house.workflows.resolveAction({
        id: actions[0]?.id ?? "",
        resolutionId: "patch_and_restart",
      });
      expect(workflowId).not.toBe(id);
      const courierId = (await house.workflows.getWorkflow({ id })).workflow?.courierId ?? "";
      const kept = await database.kysely
        .selectFrom("courier")
        .select("spec")
        .where("tenant", "=", house.tenant)
        .where("id", "=", courierId)
        .executeTakeFirstOrThrow();
      expect(JSON.stringify(kept.spec)).toMatch(/COMPRESSION_GZIP/);
    });

    test("goes on with a plain feed's file once the query has read it", async () => {
      await using house = openHouse(database);
      const { id, loads } = await begun(house);
      for (const load of loads) {
        if (isOfQuery(load)) await doWell(house, load);
        else await fail(house, load);
      }
      for (const load of await house.claim("w")) await doWell(house, load);
      expect(await offered(house, id)).toEqual([["patch_courier"]]);
    });
  });
}
