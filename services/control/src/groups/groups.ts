import type { ServiceImpl } from "@connectrpc/connect";
import type { CourierGroupService } from "@sluice/api/control/v1/courier_group_service_pb";
import type { Logger } from "pino";
import { createLoop } from "../loop.ts";
import type { RequestContext } from "../resources/request-id.ts";
import { eachTenant, type Tenant } from "../tenant.ts";
import type { Bell } from "../workflow/bell.ts";
import type { WorkflowEngine } from "../workflow/workflow-engine.ts";
import { createGroupRuns } from "./group-run-service.ts";
import { createGroupResources } from "./group-service.ts";
import { scheduleRound } from "./scheduler.ts";

/** What every part of the groups works with. */
export interface GroupContext extends RequestContext {
  readonly log: Logger;
  readonly engine: Pick<WorkflowEngine, "beginMember" | "beginRefresh" | "cancel" | "ringTasks">;
  /** Rung when the scheduler has something to look at. */
  readonly scheduleBell: Bell;
  /** Wakes whoever waits for notifications. */
  readonly newsRing: () => void;
}

export interface GroupsOptions extends Omit<GroupContext, "scheduleBell"> {
  /** The longest time until what other replicas did is seen. Default 1,000. */
  readonly pollMs?: number;
  /** Whose groups the clock starts. */
  readonly tenants: () => readonly Tenant[];
}

/** Courier groups: as resources, their runs, and the clock that starts them. */
export interface Groups {
  readonly service: ServiceImpl<typeof CourierGroupService>;
  /** A workflow has ended: a run may have to be stopped. */
  ring(): void;
  start(): void;
  /** Waits for what it began. What falls due meanwhile is run by whoever starts next. */
  stop(): Promise<void>;
}

export function createGroups({ pollMs, tenants, ...options }: GroupsOptions): Groups {
  const loop = createLoop({
    name: "courier groups",
    log: options.log,
    longestPauseMs: pollMs ?? 1_000,
    round: () => eachTenant(tenants(), () => scheduleRound(context)),
  });
  const context: GroupContext = { ...options, scheduleBell: loop.bell };
  return {
    service: { ...createGroupResources(context), ...createGroupRuns(context) },
    ring: () => loop.bell.ring(),
    start: () => loop.start(),
    stop: () => loop.stop(),
  };
}
