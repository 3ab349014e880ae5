import { CourierGroupService } from "@sluice/api/control/v1/courier_group_service_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database/database.ts";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import { type House, openHouse } from "./workflow-house.ts";

/** Two whole control services on one server, each with a clock of its own to look at. */

const GROUPS = 12;

const postgres = DATABASES.find(({ name }) => name === "PostgreSQL");

describe.skipIf(postgres?.absent !== undefined)("replicas of control", { timeout: 60_000 }, () => {
  let place: TestDatabase;
  let database: Database;
  let house: House;
  let replicas: ControlUnderTest[] = [];
  beforeAll(async () => {
    if (postgres === undefined) throw new Error("there is no kind of database named PostgreSQL");
    place = await postgres.create();
    replicas = [await startControlUnderTest(place), await startControlUnderTest(place)];
    database = await openDatabase({ databaseUrl: place.databaseUrl ?? "" });
    house = openHouse(database, {}, "default");
  }, 60_000);
  afterAll(async () => {
    for (const replica of replicas) await replica.close();
    await house[Symbol.asyncDispose]();
    await database.close();
    await place.remove();
  });

  test("run each fire of a schedule once", async () => {
    const [one, other] = replicas;
    if (one === undefined || other === undefined) throw new Error("two replicas are started");
    const groups = [one, other].map((replica) => replica.client(CourierGroupService));
    const courierId = await house.courier({ loads: { lines: "orders" } });
    const fire = Math.floor(Date.now() / 1000) + 10;
    const [hours, minutes, seconds] = new Date(fire * 1000).toISOString().slice(11, 19).split(":");
    for (let made = 0; made < GROUPS; made++) {
      await groups[made % 2]?.createCourierGroup({
        courierGroup: {
          name: `group ${made}`,
          schedule: { cron: `${seconds} ${minutes} ${hours} * * *`, active: true },
          members: [{ courierId }],
        },
      });
    }
    const runs = async () => (await groups[0]?.listCourierGroupRuns({}))?.groupRuns ?? [];
    const names = async () => new Set((await runs()).map((run) => run.groupName)).size;
    await expect.poll(names, { timeout: 30_000 }).toBe(GROUPS);
    // Time for a second replica to do it again.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect((await runs()).map((run) => Number(run.fireTime?.seconds))).toEqual(
      Array.from({ length: GROUPS }, () => fire),
    );
    const { workflows } = await other.client(WorkflowService).listWorkflows({});
    expect(workflows).toHaveLength(GROUPS);
  });
});
