import { execFile, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AccessKey, createLocalAws, type LocalAws } from "../src/index.ts";
import { EXTERNAL_ID, type RoleSetup, setUpRole } from "./role-setup.ts";

/** Clients that know nothing of this server. Each is skipped, by name, where it is not installed. */

interface Outcome {
  readonly ok: boolean;
  readonly out: string;
  readonly err: string;
}

const MULTIPART_BYTES = 20_000_000;

let folder: string;
let local: LocalAws;
let setup: RoleSetup;
let bigFile: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "local-aws-"));
  local = await createLocalAws({ dataDir: join(folder, "data") });
  await local.createBucket("clients");
  setup = await setUpRole(local, "clients");
  bigFile = join(folder, "big.bin");
  writeFileSync(bigFile, randomBytes(MULTIPART_BYTES));
});

afterAll(async () => {
  await local.close();
  rmSync(folder, { recursive: true, force: true });
});

function run(
  command: string,
  args: readonly string[],
  keys: AccessKey & { readonly sessionToken?: string } = local.adminKeys,
): Promise<Outcome> {
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    ...(keys.sessionToken && { AWS_SESSION_TOKEN: keys.sessionToken }),
    AWS_DEFAULT_REGION: local.region,
    AWS_ENDPOINT_URL: local.url,
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_MAX_ATTEMPTS: "1",
  };
  return new Promise((resolve) => {
    execFile(command, [...args], { env }, (error, out, err) => {
      resolve({ ok: error === null, out, err });
    });
  });
}

function versionOf(command: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(command, [...args], { encoding: "utf8" });
  return status === 0 ? stdout.trim().split(" ")[0] : undefined;
}

const cli = versionOf("aws", ["--version"]);
const boto3 = versionOf("python3", ["-c", "import boto3; print(boto3.__version__)"]);

describe.skipIf(!cli)(`the aws CLI (${cli ?? "not installed, so not tested"})`, () => {
  const aws = (...args: string[]) => run("aws", args);

  it("puts in parts, gets whole and ranged, lists, copies and deletes", {
    timeout: 120_000,
  }, async () => {
    const url = "s3://clients/cli/big +%.bin";
    expect(await aws("s3", "cp", bigFile, url, "--no-progress")).toMatchObject({ ok: true });
    const back = join(folder, "back.bin");
    expect(await aws("s3", "cp", url, back, "--no-progress")).toMatchObject({ ok: true });
    expect(readFileSync(back).equals(readFileSync(bigFile))).toBe(true);
    const object = ["--bucket", "clients", "--key", "cli/big +%.bin"];
    const head = await aws("s3api", "head-object", ...object);
    expect(JSON.parse(head.out)).toMatchObject({ ContentLength: MULTIPART_BYTES });
    expect(JSON.parse(head.out).ETag).toMatch(/^"[0-9a-f]{32}-3"$/);
    const part = join(folder, "part.bin");
    await aws("s3api", "get-object", ...object, "--range", "bytes=-100", part);
    expect(readFileSync(part).equals(readFileSync(bigFile).subarray(-100))).toBe(true);

    const copy = ["s3", "cp", url, "s3://clients/cli/copy.bin", "--no-progress"];
    expect(await aws(...copy)).toMatchObject({ ok: true });
    const small = join(folder, "small.txt");
    writeFileSync(small, "small\n");
    for (const name of ["a/1", "a/2", "b"]) {
      expect(await aws("s3", "cp", small, `s3://clients/cli/${name}`)).toMatchObject({ ok: true });
    }
    const list = ["s3api", "list-objects-v2", "--bucket", "clients", "--prefix", "cli/"];
    const folded = await aws(...list, "--delimiter", "/", "--page-size", "2");
    const { Contents, CommonPrefixes } = JSON.parse(folded.out);
    expect(Contents.map(({ Key }: { Key: string }) => Key)).toEqual([
      "cli/b",
      "cli/big +%.bin",
      "cli/copy.bin",
    ]);
    expect(CommonPrefixes).toEqual([{ Prefix: "cli/a/" }]);

    // Without this, the CLI still signs URLs by version 2 in us-east-1.
    await aws("configure", "set", "default.s3.signature_version", "s3v4");
    const { out: presigned } = await aws("s3", "presign", "s3://clients/cli/b");
    expect(await (await fetch(presigned.trim())).text()).toBe("small\n");
    expect(await aws("s3", "rm", "s3://clients/cli/", "--recursive")).toMatchObject({ ok: true });
    expect(JSON.parse((await aws(...list)).out || "{}").Contents).toBeUndefined();
  });

  it("assumes the role with the right external id alone", { timeout: 120_000 }, async () => {
    const assume = (...more: string[]) =>
      run(
        "aws",
        [
          "sts",
          "assume-role",
          "--role-arn",
          setup.roleArn,
          "--role-session-name",
          "by-cli",
          ...more,
        ],
        setup.user,
      );
    const right = await assume("--external-id", EXTERNAL_ID);
    const { Credentials: given } = JSON.parse(right.out);
    const keys = {
      accessKeyId: given.AccessKeyId,
      secretAccessKey: given.SecretAccessKey,
      sessionToken: given.SessionToken,
    };
    expect(await run("aws", ["s3", "ls", "s3://clients"], keys)).toMatchObject({ ok: true });
    const wrong = await assume("--external-id", "tenant/7:wrong");
    expect(wrong.err).toContain("AccessDenied");
    const missing = await assume();
    expect(missing.err).toContain("AccessDenied");
  });
});

describe.skipIf(!boto3)(`boto3 (${boto3 ?? "not installed, so not tested"})`, () => {
  it("puts, gets, lists, deletes, presigns and assumes the role", {
    timeout: 120_000,
  }, async () => {
    const script = fileURLToPath(new URL("./boto3-story.py", import.meta.url));
    const args = [script, bigFile, setup.roleArn, EXTERNAL_ID];
    const { user } = setup;
    const result = await run("python3", [...args, user.accessKeyId, user.secretAccessKey]);
    expect(result.err).toBe("");
    expect(JSON.parse(result.out)).toEqual({
      multipart: "same bytes",
      etagParts: "3",
      range: "same bytes",
      streamed: "same bytes",
      pages: [["py/a/"], ["py/b+c d%.txt", "py/big"], ["py/über"]],
      presigned: "b",
      rightExternalId: "read",
      wrongExternalId: "AccessDenied",
      missingExternalId: "AccessDenied",
      deleted: 5,
      leftOver: 0,
    });
  });
});
