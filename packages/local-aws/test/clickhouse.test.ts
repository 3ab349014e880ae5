import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { type LocalClickHouse, startLocalClickHouse } from "@sluice/local-clickhouse";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLocalAws, type LocalAws } from "../src/index.ts";
import { assume, EXTERNAL_ID, s3As, setUpRole } from "./role-setup.ts";

let folder: string;
let local: LocalAws;
let clickhouse: LocalClickHouse;

const ROWS = 100_000;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "local-aws-"));
  local = await createLocalAws({ dataDir: join(folder, "aws") });
  await local.createBucket("warehouse");
  const lines = Array.from({ length: ROWS }, (_, n) => `${n},${n * 3}\n`);
  await s3As(local, local.adminKeys).send(
    new PutObjectCommand({
      Bucket: "warehouse",
      Key: "in/some numbers+1.csv",
      Body: `id,value\n${lines.join("")}`,
    }),
  );
  clickhouse = await startLocalClickHouse({ dataDir: join(folder, "clickhouse") });
}, 60_000);

afterAll(async () => {
  await clickhouse?.stop();
  await local.close();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

async function query(sql: string): Promise<string> {
  const { name, password } = clickhouse.users.admin;
  const answer = await fetch(clickhouse.url, {
    method: "POST",
    body: sql,
    headers: { "x-clickhouse-user": name, "x-clickhouse-key": password },
  });
  return (await answer.text()).trim();
}

function sum(keys: readonly string[], path = "in/some%20numbers+1.csv"): Promise<string> {
  const quoted = keys.map((key) => `'${key}'`).join(", ");
  return query(
    `SELECT count(), sum(value) FROM s3('${local.url}/warehouse/${path}', ${quoted}, 'CSVWithNames')`,
  );
}

const EXPECTED = `${ROWS}\t${(3 * (ROWS * (ROWS - 1))) / 2}`;

describe("ClickHouse's s3()", { timeout: 60_000 }, () => {
  it("reads an object with a key, by name and by pattern", async () => {
    const { accessKeyId, secretAccessKey } = local.adminKeys;
    expect(await sum([accessKeyId, secretAccessKey])).toBe(EXPECTED);
    expect(await sum([accessKeyId, secretAccessKey], "in/*.csv")).toBe(EXPECTED);
  });

  it("reads an object with a role's session, and not with a wrong token", async () => {
    const { user, roleArn } = await setUpRole(local, "warehouse");
    const keys = await assume(local, user, { RoleArn: roleArn, ExternalId: EXTERNAL_ID });
    const { accessKeyId, secretAccessKey, sessionToken } = keys;
    expect(await sum([accessKeyId, secretAccessKey, sessionToken])).toBe(EXPECTED);
    expect(await sum([accessKeyId, secretAccessKey, `${sessionToken}x`])).toContain("S3_ERROR");
  });

  it("writes an object", async () => {
    const { accessKeyId, secretAccessKey } = local.adminKeys;
    const target = `'${local.url}/warehouse/out.csv', '${accessKeyId}', '${secretAccessKey}'`;
    const written = await query(
      `INSERT INTO FUNCTION s3(${target}, 'CSVWithNames') SELECT number AS id, number * 3 AS value FROM numbers(${ROWS})`,
    );
    expect(written).toBe("");
    expect(await sum([accessKeyId, secretAccessKey], "out.csv")).toBe(EXPECTED);
  });
});
