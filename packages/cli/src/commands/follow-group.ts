import { setTimeout as pause } from "node:timers/promises";
import { toJson } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { CourierGroupService } from "@sluice/api/control/v1/courier_group_service_pb";
import {
  type GroupRun,
  GroupRun_State,
  GroupRun_StateSchema,
  GroupRunSchema,
} from "@sluice/api/control/v1/group_run_pb";
import { CommanderError } from "commander";
import { EXIT } from "../exit-codes.ts";
import { render } from "../print/render.ts";
import { askOverBreaks, createReconnect } from "../reconnect.ts";
import type { Session } from "../session.ts";
import { shortEnum } from "../values.ts";
import { picked } from "./answer.ts";

const LOOK_MS = 1000;

/** Waits for the end of a group's run, telling every change of its state, and shows it. */
export async function followGroup(session: Session, id: string): Promise<void> {
  const { terminal, transport, json, pick } = session;
  const groups = createClient(CourierGroupService, transport);
  const reconnect = createReconnect(session);
  let last: GroupRun | undefined;
  for (;;) {
    const { groupRun } = await askOverBreaks(reconnect, () =>
      groups.getCourierGroupRun({ id }, { signal: terminal.signal }),
    );
    if (groupRun !== undefined && groupRun.state !== last?.state && !json) {
      terminal.err(`${shortEnum(GroupRun_StateSchema, groupRun.state)}\n`);
    }
    last = groupRun;
    if (last === undefined || last.endTime !== undefined) break;
    await pause(LOOK_MS, undefined, { signal: terminal.signal });
  }
  if (last === undefined) return;
  const whole = toJson(GroupRunSchema, last);
  if (pick !== undefined) terminal.out(`${picked(whole, pick)}\n`);
  else if (json) terminal.out(`${JSON.stringify(whole)}\n`);
  else terminal.out(render(GroupRunSchema, last));
  if (last.state === GroupRun_State.SUCCEEDED) return;
  throw new CommanderError(
    EXIT.workflowFailed,
    "sluice.workflowFailed",
    `the group's run ended: ${shortEnum(GroupRun_StateSchema, last.state)}`,
  );
}
