import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type Client,
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
} from "@connectrpc/connect";
import type { CourierGroup, CourierGroupSchema } from "@sluice/api/control/v1/courier_group_pb";
import { CourierGroupService } from "@sluice/api/control/v1/courier_group_service_pb";
import type { GroupRun } from "@sluice/api/control/v1/group_run_pb";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { pino } from "pino";
import type { Database } from "../src/database/database.ts";
import type { GroupContext } from "../src/groups/groups.ts";
import { createGroups } from "../src/groups/groups.ts";
import { recordRunEnding } from "../src/groups/run-refreshes.ts";
import { scheduleRound } from "../src/groups/scheduler.ts";
import { createNotifications } from "../src/notifications/notifications.ts";
import { recordEnding } from "../src/notifications/workflow-ending.ts";
import { createSecretBox } from "../src/secrets/secret-box.ts";
import { createBell } from "../src/workflow/bell.ts";
import { type House, openHouse } from "./workflow-house.ts";

type Group = MessageInitShape<typeof CourierGroupSchema>;

/** A house with groups and notifications, whose clock is looked at when a test says so. */
export interface GroupHouse extends AsyncDisposable {
  readonly house: House;
  readonly groups: Client<typeof CourierGroupService>;
  readonly notifications: Client<typeof NotificationService>;
  make(group: Omit<Exclude<Group, { $typeName: string }>, "name">): Promise<CourierGroup>;
  /** A look at the clock, as one of several replicas makes it. */
  round(): Promise<unknown>;
  run(id: string): Promise<GroupRun>;
  /** The group's next fire, as if so much time had passed. */
  backdate(groupId: string, nextFire: string, lastFire?: string): Promise<void>;
}

export async function openGroups(database: Database): Promise<GroupHouse> {
  const { kysely } = database;
  const log = pino({ level: "silent" });
  const secrets = createSecretBox(Buffer.alloc(32, 7));
  const shutdown = new AbortController();
  const tenant = (): string => house.tenant;
  const shared = { kysely, tenant, tenants: () => [tenant()], log, secrets };
  const notifications = createNotifications({
    ...shared,
    allowedWebhookHosts: new Set(),
    webhookRetryMs: 10,
    shutdown: shutdown.signal,
    pollMs: 50,
  });
  const house = openHouse(database, {
    fileWaitPauseMs: 20,
    endings: {
      record: async (trx, id) => {
        await recordRunEnding(trx, tenant(), id);
        await recordEnding(trx, tenant(), id);
      },
      ring: () => notifications.ring(),
    },
  });
  const options = { ...shared, engine: house.engine, newsRing: () => notifications.ring() };
  const context: GroupContext = { ...options, scheduleBell: createBell() };
  const transport = createRouterTransport((router) => {
    router.service(CourierGroupService, createGroups(options).service);
    router.service(NotificationService, notifications.service);
  });
  const groups = createClient(CourierGroupService, transport);
  return {
    house,
    groups,
    notifications: createClient(NotificationService, transport),
    async make(group) {
      const name = `group ${Math.random()}`;
      const { courierGroup } = await groups.createCourierGroup({
        courierGroup: { name, ...group },
      });
      if (courierGroup === undefined) throw new Error("no group was made");
      return courierGroup;
    },
    round: () => scheduleRound(context),
    async run(id) {
      const { groupRun } = await groups.getCourierGroupRun({ id });
      if (groupRun === undefined) throw new Error("no run was given");
      return groupRun;
    },
    async backdate(groupId, nextFire, lastFire) {
      await kysely
        .updateTable("courier_group")
        .set({
          next_fire_time: new Date(nextFire),
          last_fire_time: lastFire === undefined ? null : new Date(lastFire),
        })
        .where("tenant", "=", house.tenant)
        .where("id", "=", groupId)
        .execute();
    },
    async [Symbol.asyncDispose]() {
      shutdown.abort(new ConnectError("over", Code.Unavailable));
      await house[Symbol.asyncDispose]();
    },
  };
}
