import type { DescMethod, Message } from "@bufbuild/protobuf";
import { isMessage } from "@bufbuild/protobuf";
import { ResolveActionRequestSchema } from "@sluice/api/control/v1/workflow_service_pb";

/** Who may call a method: nobody in particular, workers alone, or people of a role at least. */
export type MethodAccess = "anyone" | "worker" | "viewer" | "operator" | "admin";

/**
 * The whole authorisation of control: every method of every service it serves, with the least role. What is not
 * here is refused, and a test fails on a method of the API without an entry.
 *
 * Viewers see what is configured and what runs. Content of customers' files and tables is for operators, and so is
 * all daily work. Credentials, keys, addresses that news is posted to, and what can't be undone are for admins.
 */
export const METHOD_ACCESS: Readonly<Record<string, Readonly<Record<string, MethodAccess>>>> = {
  "sluice.control.v1.AccessService": {
    CreateApiKey: "admin",
    ListApiKeys: "admin",
    RevokeApiKey: "admin",
    ListAuditEvents: "admin",
  },
  "sluice.control.v1.CredentialService": {
    CreateCredential: "admin",
    GetCredential: "viewer",
    ListCredentials: "viewer",
    UpdateCredential: "admin",
    DeleteCredential: "admin",
    TestCredential: "operator",
    ListCredentialTypes: "viewer",
    GetTrustPolicy: "viewer",
    GetPlatformIdentity: "viewer",
  },
  "sluice.control.v1.SourceService": {
    ListPlugins: "viewer",
    CreateSource: "operator",
    ListSources: "viewer",
    DeleteSource: "operator",
    BrowseObjects: "operator",
    PreviewObject: "operator",
    InferFileSettings: "operator",
  },
  "sluice.control.v1.FeedService": {
    CreateFeed: "operator",
    GetFeed: "viewer",
    ListFeeds: "viewer",
    UpdateFeed: "operator",
    ValidateFeed: "viewer",
    ActivateFeed: "operator",
    DiscardDraft: "operator",
    CheckFile: "operator",
    DeleteFeed: "operator",
    ListFeedVersions: "viewer",
    GetFeedVersion: "viewer",
    CompareFeedVersions: "operator",
    GetComparison: "operator",
  },
  "sluice.control.v1.CourierService": {
    CreateCourier: "operator",
    GetCourier: "viewer",
    ListCouriers: "viewer",
    UpdateCourier: "operator",
    DeleteCourier: "operator",
    ValidateIngestQuery: "operator",
    CopyCourier: "operator",
    ImportLegacyCourier: "operator",
    BacktestPattern: "operator",
    PlanRun: "operator",
    RunCourier: "operator",
  },
  "sluice.control.v1.CourierGroupService": {
    CreateCourierGroup: "operator",
    GetCourierGroup: "viewer",
    ListCourierGroups: "viewer",
    UpdateCourierGroup: "operator",
    DeleteCourierGroup: "operator",
    RunCourierGroup: "operator",
    PauseCourierGroup: "operator",
    ResumeCourierGroup: "operator",
    GetCourierGroupRun: "viewer",
    ListCourierGroupRuns: "viewer",
    CancelCourierGroupRun: "operator",
  },
  "sluice.control.v1.WorkflowService": {
    GetWorkflow: "viewer",
    ListWorkflows: "viewer",
    WatchWorkflow: "viewer",
    ListWorkflowFiles: "viewer",
    CancelWorkflow: "operator",
    ListActions: "viewer",
    GetAction: "viewer",
    // An admin's when it changes a credential: see leastAccess.
    ResolveAction: "operator",
    UploadReplacement: "operator",
    RetryTask: "operator",
    RestartWorkflow: "operator",
  },
  "sluice.control.v1.NotificationService": {
    ListNotifications: "viewer",
    WatchNotifications: "viewer",
    AcknowledgeNotifications: "operator",
    GetNotificationSettings: "viewer",
    UpdateNotificationSettings: "operator",
    CreateWebhook: "admin",
    ListWebhooks: "viewer",
    DeleteWebhook: "admin",
    TestWebhook: "operator",
  },
  "sluice.control.v1.DomainTableService": {
    GetDomainTable: "viewer",
    ListDomainTables: "viewer",
    SampleRows: "operator",
    ListLoads: "viewer",
    ListRejects: "operator",
    SummarizeRejects: "operator",
    ExportRejects: "operator",
    ReplayRejects: "operator",
    UndoLoad: "operator",
    PlanDeleteRows: "operator",
    DeleteRows: "operator",
    TruncateDomainTable: "operator",
    PurgeDomainTable: "admin",
  },
  "sluice.control.v1.CustomDomainTableService": {
    CreateCustomDomainTable: "operator",
    GetCustomDomainTable: "viewer",
    ListCustomDomainTables: "viewer",
    UpdateCustomDomainTable: "operator",
    ValidateCustomQuery: "operator",
    FindKeys: "operator",
    PublishCustomDomainTable: "operator",
    DeleteCustomDomainTable: "operator",
  },
  "sluice.ingest.v1.TaskService": {
    ClaimTasks: "worker",
    Heartbeat: "worker",
    AppendManifest: "worker",
    RecordPublishIntent: "worker",
    CompleteTask: "worker",
    FailTask: "worker",
    FindEndedWorkflows: "worker",
  },
  // Tells whether the service serves, and nothing else.
  "grpc.health.v1.Health": { Check: "anyone", Watch: "anyone" },
  // Served only if SLUICE_REFLECTION allows it.
  "grpc.reflection.v1.ServerReflection": { ServerReflectionInfo: "anyone" },
};

/** Who may call the method; undefined when the table does not know it: then nobody. */
export function accessOf(method: DescMethod): MethodAccess | undefined {
  const service = METHOD_ACCESS[method.parent.typeName];
  return service !== undefined && Object.hasOwn(service, method.name)
    ? service[method.name]
    : undefined;
}

/** What this one request takes, where that depends on more than the method. */
export function leastAccess(access: MethodAccess, message: Message | undefined): MethodAccess {
  // A resolution that brings a new credential is an update of it by another door.
  if (
    message !== undefined &&
    isMessage(message, ResolveActionRequestSchema) &&
    message.input.case === "credential"
  ) {
    return "admin";
  }
  return access;
}
