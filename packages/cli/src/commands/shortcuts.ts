import type { Shape } from "./api-command.ts";

/** A command of its own for a method that people call often. */
export interface Shortcut extends Shape {
  /** Service/Method. */
  readonly method: string;
  /** The noun it stands under; at the top when not set. */
  readonly noun?: string;
}

const BEFORE = "Getting access:";
const LOOK = "Looking at files:";
const RUN = "Running:";
const AFTER = "Afterwards:";

/** The commands of the main procedure, in its order. */
export const SHORTCUTS: readonly Shortcut[] = [
  {
    name: "identity",
    method: "CredentialService/GetPlatformIdentity",
    group: BEFORE,
    description: "Show the role and the external id that a customer's role has to trust",
  },
  {
    name: "trust-policy",
    method: "CredentialService/GetTrustPolicy",
    group: BEFORE,
    prints: "policy_json",
    words: ["credential-id"],
    description: "Print the trust policy for the customer's role, ready to paste",
    examples: [["sluice trust-policy > trust.json", "for the customer's AWS administrator"]],
  },
  {
    noun: "credential",
    name: "add-role",
    method: "CredentialService/CreateCredential",
    under: "iam-role-to-role",
    words: ["name"],
    description: "Make a credential of a role in the customer's account",
    examples: [
      [
        "sluice credential add-role Acme --target-role-arn arn:aws:iam::111122223333:role/reader --bucket acme",
        "a role that trusts ours, and the bucket it may read",
      ],
    ],
  },
  {
    noun: "credential",
    name: "add-keys",
    method: "CredentialService/CreateCredential",
    under: "access-key",
    words: ["name"],
    description: "Make a credential of the keys of an S3-compatible store",
    examples: [
      [
        "sluice credential add-keys Store --access-key-id AK --secret-access-key @secret.txt --bucket b --endpoint https://s3.example",
        "the secret comes from a file, not from the history of the shell",
      ],
    ],
  },
  {
    noun: "credential",
    name: "add-pgp",
    method: "CredentialService/CreateCredential",
    under: "pgp",
    words: ["name"],
    description: "Make a credential of OpenPGP private keys, or of a passphrase",
    examples: [
      [
        "sluice credential add-pgp Keys --private-key-block @keys.asc --passphrase @pass.txt",
        "from files",
      ],
    ],
  },
  {
    noun: "feed",
    name: "validate",
    method: "FeedService/ValidateFeed",
    words: ["id"],
    description: "Say all that is wrong with a feed's draft, or with one that is not kept yet",
    examples: [
      ["sluice feed validate example.customers", "the draft that is kept"],
      ["sluice feed validate -f customers.yaml", "a feed that may be made"],
    ],
  },
  {
    name: "browse",
    method: "SourceService/BrowseObjects",
    group: LOOK,
    words: ["prefix"],
    defaults: { delimiter: "/" },
    examples: [["sluice browse Acme customers/", "the folders and files below customers/"]],
  },
  {
    name: "preview",
    method: "SourceService/PreviewObject",
    group: LOOK,
    examples: [
      ["sluice preview Acme customers/2026-11-20.csv.gz", "the first rows, with inferred settings"],
      ["sluice preview Acme export.txt --view raw", "the decrypted, decompressed bytes"],
    ],
  },
  {
    name: "infer",
    method: "SourceService/InferFileSettings",
    group: LOOK,
    examples: [
      [
        "sluice infer Acme customers/2026-11-20.csv",
        "how the file is written, and why we think so",
      ],
    ],
  },
  {
    name: "check",
    method: "FeedService/CheckFile",
    group: LOOK,
    examples: [
      [
        "sluice check example.customers Acme customers/2026-11-21.csv",
        "every difference between a file and a feed",
      ],
    ],
  },
  {
    name: "backtest",
    method: "CourierService/BacktestPattern",
    group: LOOK,
    words: ["courier-id"],
    examples: [
      ["sluice backtest Customers", "what the courier's patterns would have found, day by day"],
      [
        "sluice backtest --trial.credential-id Acme --trial.pattern \"'in/'yyyyMMdd'.csv'\"",
        "a pattern that is no courier's yet",
      ],
    ],
  },
  {
    name: "plan",
    method: "CourierService/PlanRun",
    group: RUN,
    examples: [["sluice plan Customers --date 2026-11-20", "what a run would do; writes nothing"]],
  },
  {
    name: "run",
    method: "CourierService/RunCourier",
    group: RUN,
    waits: true,
    description: "Run a courier, and show how far it is until it has ended",
    examples: [
      ["sluice run Customers --date 2026-11-20", "one day"],
      [
        "sluice run Customers --period.start-date 2026-11-01 --period.end-date 2026-12-01",
        "a period; the end is the first day that is not loaded",
      ],
      ["sluice run Customers --date 2026-11-20 --json | jq -r .state", "for machines"],
    ],
  },
  {
    name: "watch",
    method: "WorkflowService/WatchWorkflow",
    group: RUN,
    description: "Show how far a workflow is until it has ended",
  },
  { name: "workflows", method: "WorkflowService/ListWorkflows", group: RUN },
  { name: "cancel", method: "WorkflowService/CancelWorkflow", group: RUN },
  {
    name: "actions",
    method: "WorkflowService/ListActions",
    group: AFTER,
    words: ["workflow-id"],
    description: "Show what people are asked to do about failures",
    examples: [
      ["sluice actions", "the open ones of all workflows"],
      ["sluice actions wf_...", "all of one workflow"],
    ],
  },
  {
    name: "action",
    method: "WorkflowService/GetAction",
    group: AFTER,
    description: "Show one action: what happened, the steps to read, and the ways out",
  },
  {
    name: "resolve",
    method: "WorkflowService/ResolveAction",
    group: AFTER,
    waits: true,
    description: "Resolve an action, and show how far its workflow is until it has ended",
    examples: [
      ["sluice resolve act_... retry_task", "the file is there now"],
      [
        "sluice resolve act_... attach_object --replacement-key fixed/a.zip",
        "another object of the bucket",
      ],
      ["sluice resolve act_... raise_threshold_once --error-threshold-percent 5", "this once"],
    ],
  },
  {
    name: "tables",
    method: "DomainTableService/ListDomainTables",
    group: AFTER,
    description: "Show the domain tables with their counts",
  },
  {
    name: "rows",
    method: "DomainTableService/SampleRows",
    group: AFTER,
    words: ["max-rows"],
    examples: [["sluice rows example.customers 10", "ten rows of the feed's domain table"]],
  },
  { name: "rejects", method: "DomainTableService/ListRejects", group: AFTER },
  {
    name: "import",
    method: "CourierService/ImportLegacyCourier",
    group: "Setting up:",
    words: ["load-operations-json"],
    description: "Make a courier of a legacy configuration as it is, and say what should be known",
    examples: [
      [
        "sluice import Customers Acme @entities.json @loads.json --feed-ids '{df-1: crm.customers}' --validate-only",
        "look for problems first",
      ],
    ],
  },
  {
    name: "notifications",
    method: "NotificationService/ListNotifications",
    group: AFTER,
    description: "Show what somebody should know of, the newest first",
  },
  {
    noun: "group",
    name: "run",
    method: "CourierGroupService/RunCourierGroup",
    examples: [
      ['sluice group run "Every morning" --wait', "as if its schedule fired now"],
      [
        'sluice group run "Every morning" --period.start-date 2026-11-01 --period.end-date 2026-12-01',
        "a period, for every courier of the group; the end is the first day that is not loaded",
      ],
      ['sluice group run "Every morning" --everything', "all that is there"],
      [
        'sluice group run "Every morning" --run-type refresh',
        "only its custom domain tables, from the rows that are there",
      ],
    ],
  },
  {
    name: "groups",
    method: "CourierGroupService/ListCourierGroups",
    group: RUN,
    description: "Show the courier groups",
  },
];
