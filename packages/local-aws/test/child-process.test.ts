import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
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

describe("a server in a process of its own", { timeout: 60_000 }, () => {
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

  it("ends when its parent is killed", async () => {
    const script = fileURLToPath(new URL("./parent-process.ts", import.meta.url));
    const parent = spawn(process.execPath, [script, dataDir], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const [line] = await once(createInterface({ input: parent.stdout }), "line");
    const { url, pid } = JSON.parse(String(line)) as { url: string; pid: number };
    // Another's child cannot be waited for; its end closes this connection.
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    await once(socket, "connect");
    const closed = once(socket, "close");
    process.kill(pid, 0);
    parent.kill("SIGKILL");
    await closed;
    await expect(fetch(url)).rejects.toThrow();
    // What the dead server left behind does not keep the next one out.
    await using next = await createLocalAws({ dataDir });
    expect(next.url).not.toBe("");
  });

  it("is alone on its data directory", async () => {
    {
      await using first = await startLocalAws({ dataDir });
      await expect(createLocalAws({ dataDir })).rejects.toThrow("another local-aws is using");
      expect(await first.requestCounts()).toEqual({});
    }
    await using second = await createLocalAws({ dataDir });
    expect(await second.requestCounts()).toEqual({});
  });

  it("keeps an unfinished multipart upload over a restart", async () => {
    const object = { Bucket: "kept", Key: "in parts" };
    let UploadId: string | undefined;
    let ETag: string | undefined;
    {
      await using local = await startLocalAws({ dataDir });
      await local.createBucket("kept");
      const s3 = s3As(local, local.adminKeys);
      ({ UploadId } = await s3.send(new CreateMultipartUploadCommand(object)));
      const part = { ...object, UploadId, PartNumber: 1, Body: "part" };
      ({ ETag } = await s3.send(new UploadPartCommand(part)));
    }
    await using local = await createLocalAws({ dataDir });
    const s3 = s3As(local, local.adminKeys);
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
    await s3.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload }));
    const got = await s3.send(new GetObjectCommand(object));
    expect(await got.Body?.transformToString()).toBe("part");
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
