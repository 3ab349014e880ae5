import {
  type DescField,
  type DescMessage,
  isMessage,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { isReflectList, isReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { ActionSchema } from "@sluice/api/control/v1/action_pb";
import { type Row, RowSchema } from "@sluice/api/control/v1/domain_table_pb";
import { InferredSettingsSchema } from "@sluice/api/control/v1/inference_pb";
import { PreviewSchema } from "@sluice/api/control/v1/preview_pb";
import { WorkflowSchema } from "@sluice/api/control/v1/workflow_pb";
import { stringify } from "yaml";
import { renderAction } from "./action.ts";
import { renderInference } from "./inference.ts";
import { renderPreview } from "./preview.ts";
import { toTable, visible } from "./table.ts";
import { toCell } from "./value.ts";
import { renderWorkflow } from "./workflow.ts";

/** Of no use to a person who looks at a list. */
const HIDDEN = new Set([
  "etag",
  "create_time",
  "update_time",
  "last_status",
  "spec",
  "draft",
  "files",
  "loads",
  "tasks",
]);
const MAX_COLUMNS = 9;

/** An answer as people like to read it: a list as a table, everything else as YAML. */
export function render(desc: DescMessage, message: Message): string {
  if (isMessage(message, WorkflowSchema)) return renderWorkflow(message);
  if (isMessage(message, PreviewSchema)) return renderPreview(message);
  if (isMessage(message, ActionSchema)) return renderAction(message);
  if (isMessage(message, InferredSettingsSchema)) return renderInference(message);
  const set = reflect(desc, message).fields.filter((field) => reflect(desc, message).isSet(field));
  const [only, ...others] = desc.fields;
  if (only?.fieldKind === "message" && others.length === 0 && set.length === 1) {
    return render(only.message, reflect(desc, message).get(only).message);
  }
  const lists = desc.fields.filter(
    (field) => field.fieldKind === "list" && field.listKind === "message",
  );
  const [list] = lists;
  if (list !== undefined && lists.length === 1 && isPage(desc, list)) {
    return renderPage(desc, message, list);
  }
  const json = toJson(desc, message);
  return isEmpty(json) ? "done\n" : visibleLines(stringify(json, { lineWidth: 0 }));
}

/** A page of a list, or a list of things that fit into cells. */
function isPage(desc: DescMessage, list: DescField): boolean {
  if (/^(List|Browse)/.test(desc.name) || list.message === RowSchema) return true;
  return (
    desc.fields.every((field) => field === list || field.name === "next_page_token") &&
    list.message?.fields.every(
      ({ fieldKind }) => fieldKind === "scalar" || fieldKind === "enum",
    ) === true
  );
}

function renderPage(desc: DescMessage, message: Message, list: DescField): string {
  if (list.fieldKind !== "list" || list.listKind !== "message") return "";
  const whole = reflect(desc, message);
  const items = itemsOf(whole.get(list)).flatMap((item) =>
    isReflectMessage(item) ? [item.message] : [],
  );
  const texts = desc.fields
    .filter((field) => field !== list && field.fieldKind === "list")
    .flatMap((field) => itemsOf(whole.get(field)).map((text) => `${visible(String(text))}\n`));
  const token = desc.fields.find(({ name }) => name === "next_page_token");
  const next = token === undefined ? "" : String(whole.get(token));
  const more = next === "" ? "" : `(more: --page-token ${next}, or --all)\n`;
  if (items.length === 0) return texts.length === 0 ? "none\n" : texts.join("") + more;
  const table = list.message === RowSchema ? rowTable(items) : itemTable(list.message, items);
  return texts.join("") + table + more;
}

function itemsOf(value: unknown): unknown[] {
  return isReflectList(value) ? [...value] : [];
}

function itemTable(desc: DescMessage, items: readonly Message[]): string {
  const columns = desc.fields
    .filter((field) => !HIDDEN.has(field.name))
    .map((field) => ({ field, cells: items.map((item) => toCell(desc, item, field)) }))
    .filter(({ cells }) => cells.some((cell) => cell !== ""))
    .slice(0, MAX_COLUMNS);
  return toTable(
    columns.map(({ field }) => field.name.replaceAll("_", " ")),
    items.map((_, index) => columns.map(({ cells }) => cells[index] ?? "")),
  );
}

/** Rows of a domain table: a column for each of theirs. */
function rowTable(items: readonly Message[]): string {
  const rows = items.filter((item): item is Row => isMessage(item, RowSchema));
  const names = [...new Set(rows.flatMap(({ values }) => Object.keys(values ?? {})))];
  return toTable(
    names,
    rows.map(({ values }) => names.map((name) => cellOf(values?.[name]))),
  );
}

function cellOf(value: JsonValue | undefined): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function isEmpty(json: JsonValue): boolean {
  return typeof json === "object" && json !== null && Object.keys(json).length === 0;
}

function visibleLines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}
