import { ActionKind, Stage } from "@sluice/api/control/v1/failure_pb";
import { type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { createMessage, encrypt, generateKey, type PrivateKey, readKeys } from "openpgp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CSV, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

/** Keyrings and signers, from a credential to rows in the table: what packages/2-decrypt can't show by itself. */

const NAMES: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
  ],
  primaryKey: ["id"],
};

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

async function newKey(name: string): Promise<PrivateKey> {
  const { privateKey } = await generateKey({ userIDs: [{ name }], format: "object" });
  return privateKey;
}

const idOf = (key: PrivateKey): string => key.getKeyID().toHex().toUpperCase();

async function message(
  text: string,
  to: PrivateKey,
  signers: PrivateKey[] = [],
): Promise<Uint8Array> {
  return (await encrypt({
    message: await createMessage({ binary: Buffer.from(text) }),
    encryptionKeys: await readKeys({ armoredKeys: to.toPublic().armor() }),
    signingKeys: signers,
    format: "binary",
  })) as Uint8Array;
}

async function credential(
  name: string,
  keys: readonly PrivateKey[],
  signers: readonly PrivateKey[] = [],
): Promise<string> {
  const { credential: made } = await story.credentials.createCredential({
    credential: {
      name,
      kind: {
        case: "pgp",
        value: {
          privateKeyBlock: keys.map((key) => key.armor()).join("\n"),
          signerPublicKeys: signers.map((key) => key.toPublic().armor()),
        },
      },
    },
  });
  return made?.id ?? "";
}

async function load(
  feedId: string,
  key: string,
  bytes: Uint8Array,
  credentialId: string,
): Promise<Workflow> {
  await story.customer.put(key, bytes);
  const settings = { ...CSV, encryption: { case: "pgp", value: { credentialId } } } as const;
  return await story.run(await story.courier({ feedId, key, settings }));
}

test("a keyring of several keys opens what was encrypted to each of them, and nothing else", async () => {
  const [old, current, foreign] = await Promise.all([
    newKey("old"),
    newKey("new"),
    newKey("other"),
  ]);
  const ring = await credential("ring", [old, current]);
  const { credential: shown } = await story.credentials.getCredential({ id: ring });
  expect(shown?.kind.value).toMatchObject({
    privateKeyBlock: "",
    fingerprints: [old, current].map((key) => key.getFingerprint()),
  });

  const feedId = await story.feed("pgp", "ring", NAMES);
  for (const [id, key] of [old, current].entries()) {
    const bytes = await message(`id,name\n${id},${idOf(key)}\n`, key);
    const workflow = await load(feedId, `ring-${id}.pgp`, bytes, ring);
    expect(workflow).toMatchObject({ state: Workflow_State.SUCCEEDED, totals: { rows: 1n } });
  }
  expect(await story.rows("SELECT id, name FROM pgp.ring ORDER BY id")).toEqual([
    { id: 0, name: idOf(old) },
    { id: 1, name: idOf(current) },
  ]);
  const stranger = await load(feedId, "ring-2.pgp", await message("id,name\n2,x\n", foreign), ring);
  expect(stranger.failure).toMatchObject({
    stage: Stage.DECRYPT,
    code: "no_matching_key",
    action: ActionKind.PGP_ERROR,
  });
});

describe("with signers' keys", () => {
  test("a message loads when one of them signed it, and no row of another one's reaches the table", async () => {
    const [mine, signer, second, stranger] = await Promise.all(
      ["mine", "signer", "second", "stranger"].map(newKey),
    );
    if (!mine || !signer || !second || !stranger) throw new Error("a key was not made");
    const held = await credential("signed", [mine], [signer, second]);
    const feedId = await story.feed("pgp", "signed", NAMES);
    for (const [id, by] of [signer, second].entries()) {
      const bytes = await message(`id,name\n${id},Signed\n`, mine, [by]);
      const workflow = await load(feedId, `signed-${id}.pgp`, bytes, held);
      expect(workflow.failure).toBeUndefined();
    }
    const refused: [string, PrivateKey[]][] = [
      ["stranger", [stranger]],
      ["unsigned", []],
    ];
    for (const [name, by] of refused) {
      const bytes = await message("id,name\n9,Forged\n", mine, by);
      const workflow = await load(feedId, `${name}.pgp`, bytes, held);
      expect(workflow).toMatchObject({
        state: Workflow_State.FAILED,
        failure: { stage: Stage.DECRYPT, code: "signature_invalid", action: ActionKind.PGP_ERROR },
      });
    }
    expect(await story.rows("SELECT id FROM pgp.signed ORDER BY id")).toEqual([
      { id: 0 },
      { id: 1 },
    ]);
  });
});
