import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  type Task,
  Task_KindSchema,
  Task_State,
  Task_StateSchema,
  type Workflow,
  Workflow_StateSchema,
} from "@sluice/api/control/v1/workflow_pb";
import { shortEnum } from "../values.ts";
import { renderFailure } from "./failure.ts";
import { toTable, visible } from "./table.ts";

/** A workflow for people: how far it is, its tasks, what is wrong. */
export function renderWorkflow(workflow: Workflow): string {
  const { totals } = workflow;
  const facts: [string, string][] = [
    ["workflow", workflow.id],
    ["courier", workflow.courierName || workflow.courierId],
    ["state", shortEnum(Workflow_StateSchema, workflow.state)],
    ["days", daysOf(workflow)],
    ["rows", totals === undefined ? "" : `${totals.rows}, ${totals.rejectedRows} rejected`],
    ["bytes", totals === undefined ? "" : `${totals.bytesRead} of ${totals.bytesTotal}`],
    ["began", timeOf(workflow.startTime)],
    ["ended", timeOf(workflow.endTime)],
  ];
  return [
    ...facts
      .filter(([, text]) => text !== "")
      .map(([name, text]) => `${name.padEnd(9)} ${visible(text)}\n`),
    workflow.tasks.length === 0 ? "" : `\n${taskTable(workflow.tasks)}`,
    ...workflow.warnings.map((warning) => `\nwarning: ${visible(warning)}\n`),
    workflow.failure === undefined ? "" : `\n${renderFailure(workflow.failure)}`,
  ].join("");
}

/** One line of how far it is, for those who wait. */
export function progressLine(workflow: Workflow, columns: number): string {
  const { totals } = workflow;
  const [read, total] = [Number(totals?.bytesRead ?? 0), Number(totals?.bytesTotal ?? 0)];
  const state = shortEnum(Workflow_StateSchema, workflow.state);
  const done = workflow.tasks.filter((task) => task.state === Task_State.SUCCEEDED).length;
  const rate = Math.round(totals?.rowsPerSecond ?? 0);
  const words = `${state}  ${totals?.rows ?? 0} rows${rate > 0 ? `, ${rate}/s` : ""}  ${done}/${workflow.tasks.length} tasks`;
  const width = Math.min(40, columns - words.length - 12);
  if (width < 8) return words.slice(0, columns - 1);
  const share = total === 0 ? 0 : Math.min(1, read / total);
  const filled = Math.round(share * width);
  return `[${"#".repeat(filled)}${".".repeat(width - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %  ${words}`;
}

function taskTable(tasks: readonly Task[]): string {
  return toTable(
    ["task", "kind", "state", "object", "rows", "rejected", "attempts", "failure"],
    tasks.map((task) => [
      task.id,
      shortEnum(Task_KindSchema, task.kind),
      shortEnum(Task_StateSchema, task.state),
      task.key,
      String(task.progress?.rows ?? 0),
      String(task.progress?.rejectedRows ?? 0),
      String(task.attempts.at(-1)?.number ?? 0),
      task.attempts.at(-1)?.failure?.code ?? "",
    ]),
  );
}

function daysOf({ startDate, endDate }: Workflow): string {
  return startDate === "" ? "" : `from ${startDate}, before ${endDate}`;
}

function timeOf(time: Workflow["startTime"]): string {
  return time === undefined ? "" : timestampDate(time).toISOString();
}
