import { setTimeout } from "node:timers/promises";
import { ConnectError } from "@connectrpc/connect";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { Stage, type StageFailure, StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import { Lineage } from "@sluice/api/control/v1/feed_pb";
import { Task_Kind, type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { DAY, type FileSettings, INTEGER, type Story } from "../e2e/story.ts";
import { type CorpusCase, type LoadedRow, TEXT } from "./corpus-case.ts";

/** What became of one file. */
export type Outcome =
  | { readonly kind: "right" }
  /** Loaded, and not what the truth says; or loaded where it must be refused. */
  | { readonly kind: "wrong"; readonly why: string }
  | {
      readonly kind: "refused";
      readonly code: string;
      readonly message: string;
      readonly isTyped: boolean;
    }
  | { readonly kind: "hung" };

const STAGES = Object.entries(Stage);

/** A file whose load runs longer counts as a hang; waiting for a worker does not count. */
const LOAD_DEADLINE_S = 10;
/** A workflow that has not ended after so long never will. */
const WORKFLOW_DEADLINE_MS = 120_000;

/** Codes that say no more than that something went wrong. */
const UNTYPED = new Set([
  "parse.decoder_crashed",
  "load.unavailable",
  "load.rejected",
  "load.worker_lost",
]);

/** Loads one file as a customer's courier would, from S3 into a domain table of its own, and reads the table. */
export async function loadCase(story: Story, name: string, each: CorpusCase): Promise<Outcome> {
  const key = `${name}/${each.name}`;
  await story.customer.put(key, each.bytes);
  const feedId = await story.feed("corpus", name, {
    fields: [
      // A file of a corpus has no key of its own: its rows are told apart by where they stand.
      { incomingName: "entry", type: TEXT, lineage: Lineage.ENTRY },
      { incomingName: "row", type: INTEGER, lineage: Lineage.ROW },
      ...each.fields,
    ],
    primaryKey: ["entry", "row"],
    errorThresholdPercent: 0,
  });
  const settings = await withKeys(story, name, each).catch(refusalOfKeys);
  if ("kind" in settings) return settings;
  const courierId = await story.courier({ feedId, key, settings, operation: LoadOperation.LOAD });
  const ended = await Promise.race([
    story.run(courierId, DAY),
    setTimeout(WORKFLOW_DEADLINE_MS, undefined, { ref: false }),
  ]);
  if (ended === undefined || hasHung(ended)) return { kind: "hung" };
  if (ended.state !== Workflow_State.SUCCEEDED) return toRefusal(ended.failure);
  if (each.expect === "refused") return { kind: "wrong", why: "loaded, though it must be refused" };
  const rows = await readRows(story, name, each);
  const why = each.judge?.(rows);
  return why === undefined ? { kind: "right" } : { kind: "wrong", why };
}

function hasHung({ tasks }: Workflow): boolean {
  return tasks.some(
    ({ kind, progress }) =>
      kind === Task_Kind.LOAD_OBJECT && Number(progress?.elapsed?.seconds ?? 0n) >= LOAD_DEADLINE_S,
  );
}

async function withKeys(story: Story, name: string, each: CorpusCase): Promise<FileSettings> {
  if (each.keys === undefined) return each.settings;
  const { credential } = await story.credentials.createCredential({
    credential: { name: `keys of ${name}`, kind: { case: "pgp", value: each.keys } },
  });
  return {
    ...each.settings,
    encryption: { case: "pgp", value: { credentialId: credential?.id ?? "" } },
  };
}

/** Keys are looked at when the credential is made: what cannot be used is refused before any load. */
function refusalOfKeys(error: unknown): Outcome {
  if (!(error instanceof ConnectError)) throw error;
  const [failure] = error.findDetails(StageFailureSchema);
  if (failure === undefined) throw error;
  return toRefusal(failure);
}

function toRefusal(failure: StageFailure | undefined): Outcome {
  const stage = STAGES.find(([, value]) => value === failure?.stage)?.[0].toLowerCase() ?? "";
  const code = `${stage}.${failure?.code ?? ""}`;
  const isTyped = failure !== undefined && failure.code !== "" && !UNTYPED.has(code);
  return { kind: "refused", code, message: failure?.message ?? "", isTyped };
}

async function readRows(story: Story, name: string, each: CorpusCase): Promise<LoadedRow[]> {
  // As hexadecimals: JSON would mend what is no UTF-8.
  const columns = each.fields.map((field) => `hex(toString(\`${field.name}\`))`);
  const found = await story.rows<{ entry: string; row: number; values: (string | null)[] }>(
    `SELECT entry, row, [${columns.join(", ")}] AS values FROM corpus.\`${name}\` ORDER BY entry, row`,
  );
  return found.map(({ entry, row, values }) => {
    const bytes = values.map((value) => (value === null ? null : Buffer.from(value, "hex")));
    return { entry, row, bytes, values: bytes.map((value) => value?.toString() ?? null) };
  });
}
