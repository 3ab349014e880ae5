import { randomBytes } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { AccessService } from "@sluice/api/control/v1/access_service_pb";
import { Stage } from "@sluice/api/control/v1/failure_pb";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import type { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { ask } from "./ask.ts";
import { courier, SPEC } from "./foreign-requests.ts";

const role = { targetRoleArn: "arn:aws:iam::123456789012:role/reader", bucket: "acme-data" };

/** Makes one of everything for a tenant, and gives the ids: a courier has run, and failed. */
export async function furnish(
  transport: Transport,
  worker: Client<typeof TaskService>,
  source: string,
): Promise<Record<string, string>> {
  const call = async (method: string, body: JsonObject): Promise<JsonObject> => {
    const { json, error } = await ask(transport, method, body);
    if (json === undefined) throw new Error(`${method}: ${error}`);
    return json;
  };
  const idOf = (answer: JsonObject, name: string): string => {
    const resource = answer[name];
    const id = typeof resource === "object" && resource ? Reflect.get(resource, "id") : undefined;
    if (typeof id !== "string") throw new Error(`no id of ${name} in ${JSON.stringify(answer)}`);
    return id;
  };
  const credential = idOf(
    await call("CredentialService/CreateCredential", {
      credential: { name: "a credential", iamRoleToRole: role },
    }),
    "credential",
  );
  const feedId = idOf(
    await call("FeedService/CreateFeed", { feed: { source, name: "orders", spec: SPEC } }),
    "feed",
  );
  await call("FeedService/ActivateFeed", { id: feedId });
  const courierId = idOf(
    await call("CourierService/CreateCourier", { courier: courier(credential, feedId) }),
    "courier",
  );
  const { workflowId } = await call("CourierService/RunCourier", {
    id: courierId,
    date: "2026-11-20",
  });
  const workflow = String(workflowId);
  const { leases } = await worker.claimTasks({ workerId: "w", capacity: 1 });
  const [lease] = leases;
  if (lease === undefined) throw new Error("there is no task");
  const { taskId, attempt } = lease;
  await worker.failTask({
    taskId,
    attempt,
    failure: { stage: Stage.CONNECT, code: "bucket_not_found", message: "no such bucket" },
  });
  const group = idOf(
    await call("CourierGroupService/CreateCourierGroup", {
      courierGroup: { name: "a group", members: [{ courierId }] },
    }),
    "courierGroup",
  );
  const groupRun = idOf(
    await call("CourierGroupService/RunCourierGroup", { id: group, date: "2026-11-20" }),
    "groupRun",
  );
  const { actions } = await createClient(WorkflowService, transport).listActions({});
  const { notifications } = await createClient(NotificationService, transport).listNotifications(
    {},
  );
  const { apiKeys } = await createClient(AccessService, transport).listApiKeys({});
  const sources = (await call("SourceService/ListSources", {})).sources as { id: string }[];
  return {
    credential,
    feed: feedId,
    courier: courierId,
    workflow,
    task: taskId,
    group,
    groupRun,
    action: actions[0]?.id ?? "",
    notification: notifications[0]?.id ?? "",
    key: apiKeys[0]?.id ?? "",
    source: sources[0]?.id ?? "",
    replacement: `rep_${randomBytes(15).toString("base64url")}`,
    webhook: idOf(
      await call("NotificationService/CreateWebhook", {
        webhook: {
          url: "http://127.0.0.1:9/",
          secret: `whsec_${randomBytes(32).toString("base64")}`,
        },
      }),
      "webhook",
    ),
    customTable: idOf(
      await call("CustomDomainTableService/CreateCustomDomainTable", {
        customDomainTable: { source, name: "own", query: "SELECT 1 AS id" },
      }),
      "customDomainTable",
    ),
  };
}
