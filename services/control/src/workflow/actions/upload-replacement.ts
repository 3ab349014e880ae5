import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Replacement, ReplacementSchema } from "@sluice/api/control/v1/action_pb";
import {
  type UploadReplacementRequest,
  UploadReplacementRequestSchema,
} from "@sluice/api/control/v1/workflow_service_pb";
import { makeId } from "../../resources/identity.ts";
import { refuseField } from "../../server/field-violations.ts";
import { inWorkflow } from "../change.ts";
import type { EngineContext, PinnedObject } from "../context.ts";
import { isResumable } from "../state-machine.ts";
import { readAction } from "./action-rows.ts";
import { notResumable } from "./resume.ts";

/** S3 takes parts of 5 MiB and more, but for the last. */
const PART_BYTES = 8 * 1024 * 1024;

/**
 * Passes a file on to a worker, part by part: control holds one part, and never the file. It is kept until the action's
 * workflow has ended. INVALID_ARGUMENT for a file that is empty or has another SHA-256 than was said, RESOURCE_EXHAUSTED
 * for one over SLUICE_MAX_UPLOAD_MIB, FAILED_PRECONDITION for an action that is not open.
 */
export async function uploadReplacement(
  context: EngineContext,
  messages: AsyncIterable<UploadReplacementRequest>,
): Promise<Replacement> {
  const { uploads, kysely } = context;
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  const header = first.done === true ? undefined : first.value.header;
  if (header === undefined) {
    refuseField(
      UploadReplacementRequestSchema,
      "header",
      "upload.header",
      "the first message needs it",
    );
  }
  const tenant = context.tenant();
  const action = await readAction(kysely, tenant, header.actionId);
  if (action.state !== "open") {
    const message = `action ${action.id} is ${action.state}: there is nothing to resolve`;
    throw new ConnectError(message, Code.FailedPrecondition);
  }
  const id = makeId("repl");
  const key = `${tenant}/${action.workflow_id}/${id}`;
  const place = { key, uploadId: await uploads.begin(key) };
  try {
    const { partEtags, size, sha256 } = await sendParts(context, place, chunks(first, iterator));
    if (header.sha256 !== "" && header.sha256 !== sha256) {
      const why = `the bytes that came have ${sha256}: send the file again`;
      refuseField(UploadReplacementRequestSchema, "header.sha256", "upload.checksum", why);
    }
    const pin = await uploads.complete(place, partEtags);
    if (pin.size !== size) throw new Error(`${size} bytes were sent and ${pin.size} are kept`);
    await keep(context, action.workflow_id, { id, key, pin, sha256 });
    const workflowId = action.workflow_id;
    return create(ReplacementSchema, { id, workflowId, size: BigInt(size), sha256 });
  } catch (error) {
    // What is left of it is also removed by the bucket's own rules; the first error is the one to tell.
    await uploads.abort(place).catch((unheard: unknown) => {
      context.log.warn({ err: unheard, key }, "an upload could not be given up");
    });
    throw error;
  }
}

async function* chunks(
  first: IteratorResult<UploadReplacementRequest>,
  rest: AsyncIterator<UploadReplacementRequest>,
): AsyncGenerator<Uint8Array> {
  for (let next = first; next.done !== true; next = await rest.next()) yield next.value.chunk;
}

async function sendParts(
  { uploads, maxUploadBytes }: EngineContext,
  place: { readonly key: string; readonly uploadId: string },
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly partEtags: string[]; readonly size: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  const partEtags: string[] = [];
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let size = 0;
  const send = async (): Promise<void> => {
    const content = Buffer.concat(held);
    held = [];
    heldBytes = 0;
    partEtags.push(await uploads.part(place, partEtags.length + 1, content));
  };
  for await (const chunk of source) {
    hash.update(chunk);
    held.push(chunk);
    heldBytes += chunk.byteLength;
    size += chunk.byteLength;
    if (size > maxUploadBytes) {
      throw new ConnectError(
        `the file is larger than SLUICE_MAX_UPLOAD_MIB = ${maxUploadBytes / 2 ** 20} allows: put it into the bucket, and name it`,
        Code.ResourceExhausted,
      );
    }
    if (heldBytes >= PART_BYTES) await send();
  }
  if (size === 0) {
    refuseField(UploadReplacementRequestSchema, "chunk", "upload.empty", "no bytes came");
  }
  if (heldBytes > 0) await send();
  return { partEtags, size, sha256: hash.digest("hex") };
}

/** Records the file while its workflow can still use it: whatever ends the workflow then removes it. */
async function keep(
  context: EngineContext,
  workflowId: string,
  file: {
    readonly id: string;
    readonly key: string;
    readonly pin: PinnedObject;
    readonly sha256: string;
  },
): Promise<void> {
  const { id, key, pin, sha256 } = file;
  await inWorkflow(context, workflowId, async (change) => {
    if (!isResumable(change.condition.state)) throw notResumable(change);
    await change.trx
      .insertInto("replacement")
      .values({
        tenant: change.tenant,
        id,
        workflow_id: workflowId,
        key,
        etag: pin.etag,
        version_id: pin.versionId,
        size: pin.size,
        sha256,
      })
      .execute();
  });
}
