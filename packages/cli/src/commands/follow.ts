import { toJson, toJsonString } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import {
  type Task,
  type Workflow,
  Workflow_State,
  Workflow_StateSchema,
  WorkflowSchema,
} from "@sluice/api/control/v1/workflow_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import { CommanderError } from "commander";
import { EXIT } from "../exit-codes.ts";
import { progressLine, renderWorkflow } from "../print/workflow.ts";
import { askOverBreaks, createReconnect, type Reconnect } from "../reconnect.ts";
import type { Session } from "../session.ts";
import { shortEnum } from "../values.ts";
import { picked } from "./answer.ts";

/**
 * Shows how far a workflow is until it has ended, and then all about it: a moving line for a person, a JSON for every
 * event for a machine. Ends with an exit code of its own when the workflow did not succeed. A service that goes away
 * is waited for once it has answered: to the call before, when `isBegun`, or to this one.
 */
export async function follow(
  session: Session,
  id: string,
  { isBegun = false }: { readonly isBegun?: boolean } = {},
): Promise<void> {
  const { terminal, json, pick } = session;
  const workflows = createClient(WorkflowService, session.transport);
  const tasks = new Map<string, Task>();
  // Whoever leaves by Ctrl-C can come back: the workflow goes on.
  if (!json) terminal.err(`${id}\n`);
  let last = "";
  const reconnect = createReconnect(session);
  for await (const workflow of watch(session, id, reconnect, isBegun)) {
    if (json) {
      terminal.out(`${toJsonString(WorkflowSchema, workflow)}\n`);
      continue;
    }
    for (const task of workflow.tasks) tasks.set(task.id, task);
    const whole = { ...workflow, tasks: [...tasks.values()] };
    if (terminal.isInteractive) {
      terminal.err(`\r\x1b[K${progressLine(whole, terminal.columns ?? 80)}`);
    } else {
      const state = shortEnum(Workflow_StateSchema, workflow.state);
      if (state !== last) terminal.err(`${state}\n`);
      last = state;
    }
  }
  if (terminal.isInteractive && !json) terminal.err("\r\x1b[K");
  const { workflow } = await askOverBreaks(reconnect, () =>
    workflows.getWorkflow({ id }, { signal: terminal.signal }),
  );
  if (workflow === undefined) return;
  const whole = toJson(WorkflowSchema, workflow);
  if (pick !== undefined) terminal.out(`${picked(whole, pick)}\n`);
  else if (json) terminal.out(`${JSON.stringify(whole)}\n`);
  else terminal.out(renderWorkflow(workflow));
  assertSucceeded(workflow);
}

/** The events of a workflow; after a break, on from the last one that was seen. */
async function* watch(
  { transport, terminal: { signal } }: Session,
  id: string,
  reconnect: Reconnect,
  isBegun: boolean,
): AsyncIterable<Workflow> {
  const workflows = createClient(WorkflowService, transport);
  let afterEvent = 0n;
  for (;;) {
    try {
      for await (const answer of workflows.watchWorkflow({ id, afterEvent }, { signal })) {
        afterEvent = answer.event;
        reconnect.answered();
        if (answer.workflow !== undefined) yield answer.workflow;
      }
      return;
    } catch (error) {
      if (afterEvent === 0n && !isBegun) throw error;
      await reconnect.wait(error);
    }
  }
}

function assertSucceeded({ state }: Workflow): void {
  if (state === Workflow_State.SUCCEEDED || state === Workflow_State.SKIPPED) return;
  throw new CommanderError(
    EXIT.workflowFailed,
    "sluice.workflowFailed",
    `the workflow ended: ${shortEnum(Workflow_StateSchema, state)}`,
  );
}
