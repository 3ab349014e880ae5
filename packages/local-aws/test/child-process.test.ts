import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLocalAws, startLocalAws } from "../src/index.ts";
import { assume, EXTERNAL_ID, refusalOf, s3As, setUpRole } from "./role-setup.ts";

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "local-aws-"));
});

afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

describe("a server in a process of its own", () => {
  it("offers the whole handle, and keeps users, roles, sessions and objects over a restart", async () => {
    let keys: Awaited<ReturnType<typeof assume>>;
    {
      await using local = await startLocalAws({ dataDir, region: "eu-west-1" });
      await local.createBucket("kept");
      const { user, roleArn } = await setUpRole(local, "kept");
      keys = await assume(local, user, { RoleArn: roleArn, ExternalId: EXTERNAL_ID });
      const put = new PutObjectCommand({ Bucket: "kept", Key: "a b", Body: "kept" });
      await s3As(local, local.adminKeys).send(put);
      expect(await local.requestCounts()).toEqual({ AssumeRole: 1, PutObject: 1 });
    }
    await using local = await createLocalAws({ dataDir });
    expect(local.region).toBe("eu-west-1");
    const got = await s3As(local, keys).send(new GetObjectCommand({ Bucket: "kept", Key: "a b" }));
    expect(await got.Body?.transformToString()).toBe("kept");
    expect(await local.bytesSent("kept", "a b")).toBe(4);
  });

  it("ends when its standard input closes", async () => {
    const local = await startLocalAws({ dataDir });
    await local.close();
    expect(() => process.kill(local.pid, 0)).toThrow("ESRCH");
  });

  it("takes admin calls with the admin token alone", async () => {
    await using local = await startLocalAws({ dataDir });
    const answer = await fetch(`${local.url}/_faults`, {
      method: "POST",
      headers: { authorization: "Bearer wrong" },
      body: "{}",
    });
    expect(answer.status).toBe(401);
    const unknown = local.faults.add({ effect: { kind: "unheard-of" } } as never);
    await expect(unknown).rejects.toThrow("unknown fault");
    const id = await local.faults.add({ times: 1, effect: { kind: "error", code: "SlowDown" } });
    const get = new GetObjectCommand({ Bucket: "none", Key: "none" });
    expect(await refusalOf(s3As(local, local.adminKeys).send(get))).toBe("SlowDown 503");
    expect(await local.faults.counts()).toEqual({ [id]: 1 });
    expect(await refusalOf(s3As(local, local.adminKeys).send(get))).toBe("NoSuchBucket 404");
  });
});
