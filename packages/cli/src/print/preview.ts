import type { Preview, PreviewTable } from "@sluice/api/control/v1/preview_pb";
import { renderFailure } from "./failure.ts";
import { toTable, visible } from "./table.ts";

/** The head of a file for people: its layers, its rows or its bytes, and what a load would fail with. */
export function renderPreview(preview: Preview): string {
  const { content, layers, warnings, failure } = preview;
  const chain = layers.map(({ kind, file }) => (file === "" ? kind : `${kind} of ${file}`));
  const of = preview.entry === "" ? "" : `, ${preview.entry}`;
  const head = `${[...chain, preview.route].filter((part) => part !== "").join(" > ")}${of}: ${preview.bytesRead} of ${preview.objectBytes} bytes read\n`;
  return [
    visible(head.trimEnd()),
    "\n\n",
    content.case === "table" ? table(content.value) : "",
    content.case === "raw" ? raw(content.value.shown.value ?? "", content.value.moreBytes) : "",
    ...warnings.map((warning) => `\nwarning: ${visible(warning)}\n`),
    failure === undefined ? "" : `\n${renderFailure(failure)}`,
  ].join("");
}

function table({ columns, rows, moreRows }: PreviewTable): string {
  const types = columns.map(({ type, sourceType }) => type?.type.case ?? sourceType);
  const cells = rows.map(({ row, cells, reject }) => [
    String(row),
    ...columns.map((_, index) => cells[index]?.value ?? cells[index]?.raw ?? ""),
    reject === undefined ? "" : `${reject.code} ${reject.field}`.trim(),
  ]);
  const lines = toTable(
    ["", ...columns.map(({ name }) => name), "refused"],
    [["", ...types, ""], ...cells],
  );
  return `${lines}${moreRows ? "(and more)\n" : ""}`;
}

function raw(text: string, isCut: boolean): string {
  const lines = text.split("\n").map(visible).join("\n");
  return `${lines}${lines.endsWith("\n") ? "" : "\n"}${isCut ? "(and more)\n" : ""}`;
}
