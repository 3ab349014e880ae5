import { type FileHandle, open } from "node:fs/promises";
import { create, type Message } from "@bufbuild/protobuf";
import { UploadReplacementRequestSchema } from "@sluice/api/control/v1/workflow_service_pb";
import type { Command } from "commander";
import { invoke } from "../invoke.ts";
import { findMethod } from "../methods.ts";
import { addSessionOptions, openSession } from "../session.ts";
import type { Terminal } from "../terminal.ts";
import { usageError } from "../usage.ts";
import { print } from "./answer.ts";

/** What one message of an upload carries. */
const CHUNK_BYTES = 1024 * 1024;

/** `sluice upload`: a file that is to stand in the place of one that could not be loaded. */
export function addUpload(program: Command, terminal: Terminal): void {
  const method = findMethod("WorkflowService/UploadReplacement");
  if (method === undefined) return;
  const command = program
    .command("upload")
    .helpGroup("Afterwards:")
    .description("Upload a file that takes the place of one that could not be loaded")
    .argument("<action>", "the action that it will resolve")
    .argument("<file>", "the file");
  addSessionOptions(command).addHelpText(
    "after",
    `
Examples:
  $ sluice upload act_... good.zip
      prints the replacement's id
  $ sluice resolve act_... attach_object --replacement-id repl_...
      lets the workflow go on with it`,
  );
  command.action(async (actionId: string, file: string) => {
    const session = openSession(terminal, command);
    // Before the call: what its request throws would come back as the call's failure.
    await using handle = await open(file).catch((error: unknown) => {
      throw usageError(error instanceof Error ? error.message : String(error));
    });
    const request = pieces(actionId, handle);
    const answers = invoke(session.transport, method.desc, request, terminal.signal);
    for await (const message of answers) print(session, method.desc, message);
  });
}

/** The first message says what for; each carries the next bytes. */
async function* pieces(actionId: string, handle: FileHandle): AsyncIterable<Message> {
  yield create(UploadReplacementRequestSchema, { header: { actionId } });
  for await (const chunk of handle.readableWebStream({ autoClose: false })) {
    const bytes = new Uint8Array(chunk);
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      yield create(UploadReplacementRequestSchema, { chunk: bytes.slice(at, at + CHUNK_BYTES) });
    }
  }
}
