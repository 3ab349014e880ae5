import { createHash, randomBytes, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CreateUserInput, PutRoleInput } from "./local-aws.ts";
import { assertPolicy, type PolicyDocument } from "./policy.ts";
import { writeJson } from "./small-file.ts";

/** Who exists and which buckets there are: the server's durable configuration, one JSON file in the data directory. */

export interface User {
  readonly name: string;
  readonly accountId: string;
  readonly arn: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The root user of an account may do everything except assume a role. */
  readonly isRoot: boolean;
  readonly policy?: PolicyDocument;
}

export interface Role {
  readonly name: string;
  readonly accountId: string;
  readonly arn: string;
  /** Never used twice: a role made again under an old name does not revive the old one's sessions. */
  readonly id: string;
  readonly trustPolicy: PolicyDocument;
  readonly policy: PolicyDocument;
  readonly maxSessionSeconds: number;
}

export interface Bucket {
  readonly name: string;
  readonly region: string;
  readonly createdAt: string;
}

export interface AccessPoint {
  readonly name: string;
  readonly arn: string;
  /** Usable wherever a bucket name is; ends in `-s3alias`. */
  readonly alias: string;
  readonly bucket: string;
  readonly isVpcOnly: boolean;
}

interface AccountsFile {
  version: 1;
  region: string;
  accountId: string;
  sessionSecret: string;
  users: Record<string, User>;
  roles: Record<string, Role>;
  buckets: Record<string, Bucket>;
  accessPoints: Record<string, AccessPoint>;
}

export interface Accounts {
  readonly region: string;
  readonly accountId: string;
  /** Signs session tokens; made once per data directory. */
  readonly sessionSecret: Buffer;
  readonly root: User;
  userByAccessKey(accessKeyId: string): User | undefined;
  putUser(input: CreateUserInput): User;
  roleByArn(arn: string): Role | undefined;
  putRole(input: PutRoleInput): Role;
  deleteRole(arn: string): void;
  bucket(name: string): Bucket | undefined;
  buckets(): readonly Bucket[];
  putBucket(name: string, region: string, createdAt: string): Bucket;
  deleteBucket(name: string): void;
  accessPoint(nameOrAlias: string): AccessPoint | undefined;
  putAccessPoint(name: string, bucket: string, isVpcOnly: boolean): AccessPoint;
}

/** Opens the configuration under `dataDir`, making it (with a root user) on the first start. */
export function openAccounts(dataDir: string, region: string, accountId: string): Accounts {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, "accounts.json");
  const file = readAccounts(path) ?? newAccounts(region, accountId);
  const byKey = new Map(Object.values(file.users).map((user) => [user.accessKeyId, user]));

  const save = (): void => {
    writeJson(path, file);
  };
  const putUser = (input: CreateUserInput & { isRoot?: boolean }): User => {
    const account = input.accountId ?? file.accountId;
    const before = file.users[`${account}/${input.name}`];
    const user: User = {
      name: input.name,
      accountId: account,
      arn: `arn:aws:iam::${account}:${input.isRoot ? "root" : `user/${input.name}`}`,
      accessKeyId: input.accessKeyId ?? before?.accessKeyId ?? newAccessKeyId("AKIA"),
      secretAccessKey:
        input.secretAccessKey ?? before?.secretAccessKey ?? randomBytes(30).toString("base64"),
      isRoot: input.isRoot ?? false,
      ...(input.policy && { policy: assertPolicy(input.policy) }),
    };
    if (before !== undefined) byKey.delete(before.accessKeyId);
    byKey.set(user.accessKeyId, user);
    file.users[`${account}/${input.name}`] = user;
    save();
    return user;
  };
  const root = file.users[`${file.accountId}/root`] ?? putUser({ name: "root", isRoot: true });

  return {
    region: file.region,
    accountId: file.accountId,
    sessionSecret: Buffer.from(file.sessionSecret, "hex"),
    root,
    userByAccessKey: (accessKeyId) => byKey.get(accessKeyId),
    putUser,
    roleByArn: (arn) => file.roles[arn],
    putRole: (input) => {
      const account = input.accountId ?? file.accountId;
      const arn = `arn:aws:iam::${account}:role/${input.name}`;
      const role: Role = {
        name: input.name,
        accountId: account,
        arn,
        id: file.roles[arn]?.id ?? `AROA${randomUUID()}`,
        trustPolicy: assertPolicy(input.trustPolicy),
        policy: assertPolicy(input.policy),
        maxSessionSeconds: input.maxSessionSeconds ?? 3_600,
      };
      file.roles[arn] = role;
      save();
      return role;
    },
    deleteRole: (arn) => {
      delete file.roles[arn];
      save();
    },
    bucket: (name) => file.buckets[name],
    buckets: () => Object.values(file.buckets).sort((a, b) => (a.name < b.name ? -1 : 1)),
    putBucket: (name, bucketRegion, createdAt) => {
      const bucket = file.buckets[name] ?? { name, region: bucketRegion, createdAt };
      file.buckets[name] = bucket;
      save();
      return bucket;
    },
    deleteBucket: (name) => {
      delete file.buckets[name];
      save();
    },
    accessPoint: (nameOrAlias) =>
      file.accessPoints[nameOrAlias] ??
      Object.values(file.accessPoints).find((point) => point.alias === nameOrAlias),
    putAccessPoint: (name, bucket, isVpcOnly) => {
      const point: AccessPoint = {
        name,
        arn: `arn:aws:s3:${file.region}:${file.accountId}:accesspoint/${name}`,
        alias: accessPointAlias(name, file.accountId),
        bucket,
        isVpcOnly,
      };
      file.accessPoints[name] = point;
      save();
      return point;
    },
  };
}

/** `AKIA…` for a user's key, `ASIA…` for a session's. */
export function newAccessKeyId(prefix: "AKIA" | "ASIA"): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const random = Array.from(randomBytes(16), (byte) => letters[byte & 31]);
  return prefix + random.join("");
}

function accessPointAlias(name: string, accountId: string): string {
  const suffix = createHash("sha256").update(`${accountId}/${name}`).digest("hex").slice(0, 34);
  return `${name.slice(0, 20)}-${suffix.slice(0, 63 - 10 - Math.min(name.length, 20))}-s3alias`;
}

function readAccounts(path: string): AccountsFile | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as AccountsFile;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new Error(`cannot read ${path}`, { cause: error });
  }
}

function newAccounts(region: string, accountId: string): AccountsFile {
  return {
    version: 1,
    region,
    accountId,
    sessionSecret: randomBytes(32).toString("hex"),
    users: {},
    roles: {},
    buckets: {},
    accessPoints: {},
  };
}
