import {
  DecryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
  type KMSClientConfig,
} from "@aws-sdk/client-kms";
import type { Kysely } from "kysely";
import type { Schema } from "../database/schema.ts";

/** How a KMS is reached; what is not said is the SDK's own way (environment, instance role, ...). */
export interface KmsOptions {
  readonly endpoint?: string;
  readonly region?: string;
  readonly credentials?: KMSClientConfig["credentials"];
}

/** What a master key is bound to: KMS opens it for nobody who says something else. */
const CONTEXT = { service: "sluice", purpose: "master-key" };

/**
 * The master key that a key of KMS wraps: made by KMS at the first start, kept wrapped in the database, where all
 * replicas find it, and opened by KMS at every start. KMS sees no secret, and is asked at no other time.
 */
export async function masterKeyFromKms(
  kysely: Kysely<Schema>,
  kmsKey: string,
  options: KmsOptions,
): Promise<Buffer> {
  const { endpoint, region, credentials } = options;
  const kms = new KMSClient({
    region: region ?? /^arn:[^:]+:kms:([^:]+):/.exec(kmsKey)?.[1] ?? "us-east-1",
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
  });
  const read = async (): Promise<Uint8Array | undefined> =>
    (
      await kysely
        .selectFrom("kms_master_key")
        .select("wrapped")
        .where("kms_key", "=", kmsKey)
        .executeTakeFirst()
    )?.wrapped;
  try {
    let wrapped = await read();
    if (wrapped === undefined) {
      const { CiphertextBlob } = await kms.send(
        new GenerateDataKeyCommand({
          KeyId: kmsKey,
          KeySpec: "AES_256",
          EncryptionContext: CONTEXT,
        }),
      );
      if (CiphertextBlob === undefined) throw new Error("KMS gave no key");
      // Of two replicas that start at the same time, one makes it and both take it.
      await kysely
        .insertInto("kms_master_key")
        .values({ kms_key: kmsKey, wrapped: CiphertextBlob })
        .onConflict((conflict) => conflict.column("kms_key").doNothing())
        .execute();
      wrapped = (await read()) ?? CiphertextBlob;
    }
    const { Plaintext } = await kms.send(
      new DecryptCommand({ KeyId: kmsKey, CiphertextBlob: wrapped, EncryptionContext: CONTEXT }),
    );
    if (Plaintext?.length !== 32) throw new Error("KMS gave no master key of 32 bytes");
    return Buffer.from(Plaintext);
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : "no answer";
    throw new Error(`the master key can't be opened by the KMS key ${kmsKey}: ${name}`, { cause });
  } finally {
    kms.destroy();
  }
}
