import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";

/**
 * Attacks C1, Q1, Q2: names and types reach ClickHouse by configuration alone, and configuration that is no plain name
 * or none of the API's types is refused before it is kept.
 */

let database: TestDatabase;
let control: ControlUnderTest;
beforeAll(async () => {
  const [kind] = DATABASES;
  if (kind === undefined) throw new Error("no database");
  database = await kind.create();
  control = await startControlUnderTest(database);
}, 60_000);
afterAll(async () => {
  await control.close();
  await database.remove();
});

const STRING = { type: { string: {} } };
const createFeed = async (
  source: string,
  name: string,
  fields: readonly object[],
  more: object = {},
): Promise<{ status: number; text: string }> => {
  const spec = { fields, primaryKey: ["id"] };
  const { status, body } = await control.post("FeedService/CreateFeed", {
    feed: { source, name, spec, ...more },
  });
  return { status, text: JSON.stringify(body) };
};
const ID = { incomingName: "id", ...STRING };

const SQL = [
  "a`; DROP TABLE x; --",
  "a\\`b",
  'a"b',
  "'",
  "\\",
  "{p:String}",
  "line\nbreak",
  ";",
  "n\0l",
  "x".repeat(65_536),
  "system.users",
  "db.table",
  "a__rows",
  "",
];

describe("no source and no feed is named", () => {
  test.each(SQL.map((name) => [name.slice(0, 30), name] as const))("%j", async (_, name) => {
    expect((await createFeed(name, "people", [ID])).status).toBe(400);
    expect((await createFeed("crm", name, [ID])).status).toBe(400);
  });

  test.each(["system", "SYSTEM", "default", "information_schema", "sluice"])(
    "a source %s",
    async (name) => {
      expect((await createFeed(name, "people", [ID])).status).toBe(400);
    },
  );
});

describe("a field", () => {
  test.each(["_file", "_row", "_entry", "_workflow", "_updated"])(
    "is not named %s, as the service's own columns are; a file's column may be",
    async (name) => {
      const own = await createFeed("crm", `own${name}`, [ID, { incomingName: name, ...STRING }]);
      expect(own).toMatchObject({ status: 400, text: expect.stringContaining("underscore") });
      const renamed = { incomingName: name, name: "theirs", ...STRING };
      expect((await createFeed("crm", `theirs${name}`, [ID, renamed])).status).toBe(200);
    },
  );

  test.each(SQL.filter((name) => !/^[A-Za-z0-9_]*$/.test(name)).map((n) => [n.slice(0, 30), n]))(
    "of a file's column %j needs a plain name for its own",
    async (_, incomingName) => {
      const { status } = await createFeed("crm", "unnamed", [ID, { incomingName, ...STRING }]);
      expect(status).toBe(400);
    },
  );
});

describe("a type that is none of the API's, and a setting of ClickHouse, has no place", () => {
  test.each<[string, object]>([
    ["a type as text", { type: "Enum8('a'=1)); DROP TABLE x" }],
    ["a type of another kind", { type: { enum8: "('a'=1)" } }],
    ["precision that is SQL", { type: { decimal: { precision: "9); DROP TABLE x", scale: 2 } } }],
    ["precision beyond the type", { type: { decimal: { precision: 4000, scale: 2 } } }],
    ["a time zone that is SQL", { type: { datetime: {} }, timeZone: "UTC'); DROP TABLE x --" }],
    ["a time zone that is a path", { type: { datetime: {} }, timeZone: "../../etc/passwd" }],
  ])("%s", async (_, type) => {
    const { status } = await createFeed("crm", "typed", [ID, { incomingName: "v", ...type }]);
    expect(status).toBe(400);
  });

  test.each<[string, object]>([
    ["engine", { engine: "URL('http://127.0.0.1/', CSV)" }],
    ["settings", { settings: { format_schema: "/etc/passwd", allow_ddl: 1 } }],
    ["target", { target: "FUNCTION url('http://127.0.0.1/')" }],
  ])("%s is not kept", async (name, more) => {
    const { status, text } = await createFeed("crm", `kept_${name}`, [ID], more);
    // Fields that the API does not know are passed over, as gRPC wants it; nothing of them stays.
    if (status === 200) expect(text).not.toMatch(/127\.0\.0\.1|passwd|allow_ddl/);
    else expect(status).toBe(400);
  });
});
