import type { JsonObject } from "@bufbuild/protobuf";

/** Ids by the kind of what they name. */
export type Ids = Readonly<Record<string, string>>;
/** A method, a request for ids, and what tells it from others of the method. */
export type Row = readonly [method: string, body: (id: Ids) => JsonObject, name?: string];

export const SPEC: JsonObject = {
  fields: [{ incomingName: "id", name: "id", type: { integer: {} } }],
  primaryKey: ["id"],
};
const pgpFile = (credentialId = ""): JsonObject => ({ pgp: { credentialId }, delimited: {} });
const pgpEntry = (credentialId = ""): JsonObject => ({
  archive: {
    kind: "KIND_ZIP",
    entries: [{ name: "a", tag: "a", settings: pgpFile(credentialId) }],
  },
});
export const courier = (
  credentialId = "",
  feedId = "",
  settings: JsonObject = { delimited: {} },
): JsonObject => ({
  name: "a courier",
  credentialId,
  files: [{ tag: "t", key: "k.csv", settings }],
  loads: [{ feedId, fileTag: "t", operation: "LOAD_OPERATION_LOAD" }],
});
const one =
  (kind: string): Row[1] =>
  (id) => ({ id: id[kind] ?? "" });
const feed: Row[1] = (id) => ({ feedId: id.feed ?? "" });

/** Requests that name ids of every kind, each in a place of its own. `own` is what the caller has itself. */
export const FOREIGN_REQUESTS: readonly Row[] = [
  ["AccessService/RevokeApiKey", one("key")],
  ["CredentialService/GetCredential", one("credential")],
  [
    "CredentialService/UpdateCredential",
    (id) => ({ credential: { id: id.credential ?? "", name: "mine now" }, updateMask: "name" }),
  ],
  ["CredentialService/DeleteCredential", one("credential")],
  ["CredentialService/TestCredential", one("credential")],
  ["CredentialService/GetTrustPolicy", (id) => ({ credentialId: id.credential ?? "" })],
  ["SourceService/DeleteSource", one("source")],
  ["SourceService/BrowseObjects", (id) => ({ credentialId: id.credential ?? "" })],
  ["SourceService/PreviewObject", (id) => ({ credentialId: id.credential ?? "", key: "k" })],
  [
    "SourceService/PreviewObject",
    (id) => ({
      credentialId: id.own ?? "",
      key: "k",
      settings: { delimited: {} },
      feedId: id.feed ?? "",
    }),
    "by its feed",
  ],
  [
    "SourceService/PreviewObject",
    (id) => ({ credentialId: id.own ?? "", key: "k", settings: pgpFile(id.credential) }),
    "by its PGP keys",
  ],
  ["SourceService/InferFileSettings", (id) => ({ credentialId: id.credential ?? "", key: "k" })],
  [
    "SourceService/InferFileSettings",
    (id) => ({ credentialId: id.own ?? "", key: "k", pgpCredentialId: id.credential ?? "" }),
    "by its PGP keys",
  ],
  [
    "SourceService/InferFileSettings",
    (id) => ({ credentialId: id.own ?? "", key: "k", settings: pgpFile(id.credential) }),
    "by the PGP keys of its settings",
  ],
  [
    "SourceService/PreviewObject",
    (id) => ({ credentialId: id.own ?? "", key: "k", settings: pgpEntry(id.credential) }),
    "by the PGP keys of an entry",
  ],
  [
    "SourceService/InferFileSettings",
    (id) => ({ credentialId: id.own ?? "", key: "k", settings: pgpEntry(id.credential) }),
    "by the PGP keys of an entry",
  ],
  [
    "FeedService/CheckFile",
    (id) => ({
      feedId: id.ownFeed ?? "",
      credentialId: id.own ?? "",
      key: "k",
      settings: pgpEntry(id.credential),
    }),
    "by the PGP keys of an entry",
  ],
  ["FeedService/GetFeed", one("feed")],
  [
    "FeedService/UpdateFeed",
    (id) => ({ feed: { id: id.feed ?? "", spec: SPEC }, updateMask: "spec" }),
  ],
  [
    "FeedService/ValidateFeed",
    (id) => ({ feed: { id: id.feed ?? "", source: "x", name: "y", spec: SPEC } }),
  ],
  ["FeedService/ActivateFeed", one("feed")],
  ["FeedService/DiscardDraft", one("feed")],
  ["FeedService/DeleteFeed", one("feed")],
  ["FeedService/ListFeedVersions", one("feed")],
  ["FeedService/GetFeedVersion", (id) => ({ id: id.feed ?? "", version: 1 })],
  [
    "FeedService/CheckFile",
    (id) => ({ feedId: id.feed ?? "", credentialId: id.own ?? "", key: "k" }),
  ],
  [
    "FeedService/CheckFile",
    (id) => ({ feedId: id.ownFeed ?? "", credentialId: id.credential ?? "", key: "k" }),
    "by its credential",
  ],
  [
    "FeedService/CheckFile",
    (id) => ({
      feedId: id.ownFeed ?? "",
      credentialId: id.own ?? "",
      key: "k",
      settings: pgpFile(id.credential),
    }),
    "by its PGP keys",
  ],
  ["FeedService/CompareFeedVersions", feed],
  [
    "FeedService/CompareFeedVersions",
    (id) => ({ feedId: id.ownFeed ?? "", courierId: id.courier ?? "" }),
    "by its courier",
  ],
  ["FeedService/GetComparison", (id) => ({ workflowId: id.workflow ?? "" })],
  ["CourierService/GetCourier", one("courier")],
  ["CourierService/ListCouriers", feed],
  ["CourierService/DeleteCourier", one("courier")],
  ["CourierService/CopyCourier", one("courier")],
  ["CourierService/RunCourier", (id) => ({ id: id.courier ?? "", date: "2026-11-20" })],
  ["CourierService/PlanRun", (id) => ({ id: id.courier ?? "", date: "2026-11-20" })],
  [
    "CourierService/CreateCourier",
    (id) => ({ courier: courier(id.credential, id.ownFeed) }),
    "with its credential",
  ],
  [
    "CourierService/CreateCourier",
    (id) => ({ courier: courier(id.own, id.feed) }),
    "into its feed",
  ],
  [
    "CourierService/CreateCourier",
    (id) => ({ courier: courier(id.own, id.ownFeed, pgpFile(id.credential)) }),
    "with its PGP keys",
  ],
  [
    "CourierService/UpdateCourier",
    (id) => ({ courier: { id: id.courier ?? "", name: "mine now" }, updateMask: "name" }),
  ],
  [
    "CourierService/UpdateCourier",
    (id) => ({
      courier: {
        ...courier(id.credential, id.feed, pgpFile(id.credential)),
        id: id.ownCourier ?? "",
      },
      updateMask: "credentialId,files,loads",
    }),
    "with its credential and feed",
  ],
  [
    "CourierService/ImportLegacyCourier",
    (id) => ({
      name: "legacy",
      entitiesJson: "[]",
      credentialId: id.credential ?? "",
      feedIds: { a: id.feed ?? "" },
      pgpCredentialId: id.credential ?? "",
    }),
  ],
  ["CourierService/BacktestPattern", (id) => ({ courierId: id.courier ?? "" })],
  [
    "CourierService/BacktestPattern",
    (id) => ({ trial: { credentialId: id.credential ?? "", pattern: "yyyy'.csv'" } }),
    "of its bucket",
  ],
  [
    "CourierGroupService/CreateCourierGroup",
    (id) => ({ courierGroup: { name: "g", members: [{ courierId: id.courier ?? "" }] } }),
    "of its courier",
  ],
  [
    "CourierGroupService/CreateCourierGroup",
    (id) => ({
      courierGroup: {
        name: "g",
        members: [{ courierId: id.ownCourier ?? "" }],
        customDomainTableIds: [id.customTable ?? ""],
      },
    }),
    "of its table",
  ],
  ["CourierGroupService/GetCourierGroup", one("group")],
  ["CourierGroupService/ListCourierGroups", (id) => ({ courierId: id.courier ?? "" })],
  [
    "CourierGroupService/UpdateCourierGroup",
    (id) => ({
      courierGroup: {
        id: id.group ?? "",
        name: "mine now",
        members: [{ courierId: id.courier ?? "" }],
        customDomainTableIds: [id.customTable ?? ""],
      },
      updateMask: "name,members,customDomainTableIds",
    }),
  ],
  ["CourierGroupService/DeleteCourierGroup", one("group")],
  ["CourierGroupService/RunCourierGroup", one("group")],
  ["CourierGroupService/PauseCourierGroup", one("group")],
  ["CourierGroupService/ResumeCourierGroup", one("group")],
  ["CourierGroupService/GetCourierGroupRun", one("groupRun")],
  ["CourierGroupService/ListCourierGroupRuns", (id) => ({ groupId: id.group ?? "" })],
  ["CourierGroupService/CancelCourierGroupRun", one("groupRun")],
  ["CustomDomainTableService/GetCustomDomainTable", one("customTable")],
  [
    "CustomDomainTableService/UpdateCustomDomainTable",
    (id) => ({
      customDomainTable: { id: id.customTable ?? "", query: "SELECT 2 AS id" },
      updateMask: "query",
    }),
  ],
  ["CustomDomainTableService/PublishCustomDomainTable", one("customTable")],
  ["CustomDomainTableService/DeleteCustomDomainTable", one("customTable")],
  ["DomainTableService/GetDomainTable", feed],
  ["DomainTableService/SampleRows", feed],
  ["DomainTableService/ListLoads", feed],
  ["DomainTableService/ListRejects", feed],
  [
    "DomainTableService/ListRejects",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
    "of its workflow",
  ],
  [
    "DomainTableService/SummarizeRejects",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
  ],
  [
    "DomainTableService/ExportRejects",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
  ],
  [
    "DomainTableService/ReplayRejects",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
  ],
  [
    "DomainTableService/UndoLoad",
    (id) => ({ feedId: id.feed ?? "", workflowId: id.workflow ?? "" }),
  ],
  [
    "DomainTableService/UndoLoad",
    (id) => ({ feedId: id.ownFeed ?? "", workflowId: id.workflow ?? "" }),
    "of its workflow",
  ],
  [
    "DomainTableService/PlanDeleteRows",
    (id) => ({
      feedId: id.feed ?? "",
      rule: { field: "id", equals: "1" },
    }),
  ],
  ["DomainTableService/DeleteRows", (id) => ({ feedId: id.feed ?? "", planToken: "e30" })],
  ["DomainTableService/TruncateDomainTable", feed],
  [
    "DomainTableService/PurgeDomainTable",
    (id) => ({ feedId: id.feed ?? "", confirmTable: "acme.orders" }),
  ],
  ["NotificationService/ListNotifications", (id) => ({ courierId: id.courier ?? "" })],
  [
    "NotificationService/ListNotifications",
    (id) => ({ workflowId: id.workflow ?? "" }),
    "of its workflow",
  ],
  ["NotificationService/AcknowledgeNotifications", (id) => ({ ids: [id.notification ?? ""] })],
  ["NotificationService/DeleteWebhook", one("webhook")],
  ["NotificationService/TestWebhook", one("webhook")],
  ["WorkflowService/GetWorkflow", one("workflow")],
  ["WorkflowService/ListWorkflows", (id) => ({ courierId: id.courier ?? "" })],
  ["WorkflowService/WatchWorkflow", one("workflow")],
  ["WorkflowService/ListWorkflowFiles", one("workflow")],
  ["WorkflowService/CancelWorkflow", one("workflow")],
  ["WorkflowService/ListActions", (id) => ({ workflowId: id.workflow ?? "" })],
  ["WorkflowService/GetAction", one("action")],
  [
    "WorkflowService/ResolveAction",
    (id) => ({ id: id.action ?? "", resolutionId: "1", replacementId: id.replacement ?? "" }),
  ],
  [
    "WorkflowService/ResolveAction",
    (id) => ({ id: id.action ?? "", resolutionId: "1", feeds: { feedIds: [id.feed ?? ""] } }),
    "without its feed",
  ],
  [
    "WorkflowService/ResolveAction",
    (id) => ({
      id: id.action ?? "",
      resolutionId: "1",
      courier: {
        courier: {
          ...courier(id.credential, id.feed, pgpFile(id.credential)),
          id: id.courier ?? "",
        },
        updateMask: "files",
      },
    }),
    "with a change of its courier",
  ],
  [
    "WorkflowService/ResolveAction",
    (id) => ({
      id: id.action ?? "",
      resolutionId: "1",
      credential: { credential: { id: id.credential ?? "", name: "x" }, updateMask: "name" },
    }),
    "with a change of its credential",
  ],
  ["WorkflowService/UploadReplacement", (id) => ({ header: { actionId: id.action ?? "" } })],
  ["WorkflowService/RetryTask", (id) => ({ taskId: id.task ?? "" })],
  ["WorkflowService/RestartWorkflow", one("workflow")],
];
