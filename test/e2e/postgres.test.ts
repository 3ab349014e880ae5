import { randomBytes } from "node:crypto";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { INTEGER, STRING, type Story, startStory } from "./story.ts";

/** The main job with control's state in a PostgreSQL server instead of the embedded one. */

const SERVER = "postgres://postgres@127.0.0.1:5432/postgres";
const database = `sluice_e2e_${randomBytes(6).toString("hex")}`;

async function onServer(statement: string): Promise<void> {
  const client = new Client({ connectionString: SERVER, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

const absent = await onServer("SELECT 1").then(
  () => undefined,
  (error: Error) => error.message,
);
if (absent !== undefined) console.warn(`no PostgreSQL answers at ${SERVER} (${absent}): skipped`);

let story: Story;
beforeAll(async () => {
  if (absent !== undefined) return;
  await onServer(`CREATE DATABASE ${database}`);
  story = await startStory({
    controlEnvironment: { DATABASE_URL: SERVER.replace(/postgres$/, database) },
  });
});
afterAll(async () => {
  if (absent !== undefined) return;
  await story[Symbol.asyncDispose]();
  await onServer(`DROP DATABASE ${database} WITH (FORCE)`);
});

test.skipIf(absent !== undefined)(
  "a file becomes rows, and control finds everything again after a restart",
  async () => {
    await story.customer.put("people.csv", "id,name\n1,One\n2,Two\n");
    const feedId = await story.feed("crm", "people", {
      fields: [
        { incomingName: "id", type: INTEGER, require: true },
        { incomingName: "name", type: STRING },
      ],
      primaryKey: ["id"],
    });
    const courierId = await story.courier({ feedId, key: "people.csv" });
    expect((await story.run(courierId)).state).toBe(Workflow_State.SUCCEEDED);

    await story.local.control.kill();
    await story.local.startControl();
    const { loads } = await story.tables.listLoads({ feedId });
    expect(loads).toMatchObject([{ rows: 2n }]);
    // It knows what is loaded already, and what is not.
    expect((await story.run(courierId)).state).toBe(Workflow_State.SKIPPED);
    await story.customer.put("people.csv", "id,name\n2,Zwei\n3,Three\n");
    expect((await story.run(courierId)).state).toBe(Workflow_State.SUCCEEDED);
    expect(await story.rows("SELECT id, name FROM crm.people ORDER BY id")).toEqual([
      { id: 1, name: "One" },
      { id: 2, name: "Zwei" },
      { id: 3, name: "Three" },
    ]);
  },
);
