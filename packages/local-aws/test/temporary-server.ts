import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { S3Client } from "@aws-sdk/client-s3";
import { createLocalAws, type LocalAws } from "../src/index.ts";
import { s3As } from "./role-setup.ts";

/** A server on a directory of its own, and its owner's client; disposing removes all of it. */
export interface TemporaryServer extends AsyncDisposable {
  readonly local: LocalAws;
  readonly s3: S3Client;
}

export async function startTemporaryServer(bucket: string): Promise<TemporaryServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "local-aws-"));
  const local = await createLocalAws({ dataDir });
  await local.createBucket(bucket);
  const s3 = s3As(local, local.adminKeys);
  return {
    local,
    s3,
    async [Symbol.asyncDispose]() {
      // The client is not destroyed: that would break answers which a test left unread, with nobody to hear of it.
      await local.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
