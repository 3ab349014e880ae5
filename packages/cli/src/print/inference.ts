import { toJson } from "@bufbuild/protobuf";
import { FileSettingsSchema } from "@sluice/api/control/v1/file_settings_pb";
import type { InferredSettings } from "@sluice/api/control/v1/inference_pb";
import { stringify } from "yaml";
import { renderFailure } from "./failure.ts";
import { toTable, visible } from "./table.ts";

/** What was inferred of a file, for people: the settings, and why; the fields; what could be the key. */
export function renderInference(inferred: InferredSettings): string {
  const { settings, guesses, fields, primaryKeyCandidates, failure, warnings } = inferred;
  return [
    settings === undefined
      ? ""
      : `${visibleYaml({ settings: toJson(FileSettingsSchema, settings) })}\n`,
    toTable(
      ["setting", "value", "certain", "why"],
      guesses.map(({ fieldPath, value, confidence, evidence, given }) => [
        fieldPath,
        value,
        given ? "given" : percent(confidence),
        evidence,
      ]),
    ),
    "\n",
    toTable(
      ["field", "type", "format", "empty", "tags", "certain", "why"],
      fields.map((field) => [
        field.path || field.incomingName,
        field.type?.type.case ?? "",
        field.format,
        percent(field.nullShare),
        field.semanticTags.join(", "),
        percent(field.confidence),
        field.evidence,
      ]),
    ),
    "\n",
    primaryKeyCandidates.length === 0
      ? `nothing identifies a row in the ${inferred.sampledRows} rows of the sample\n`
      : toTable(
          ["could be the key", "unique in the sample", "certain", "why"],
          primaryKeyCandidates.map((key) => [
            key.fields.join(", "),
            percent(key.uniqueShare),
            percent(key.confidence),
            key.evidence,
          ]),
        ),
    ...warnings.map((warning) => `\nwarning: ${visible(warning)}\n`),
    failure === undefined ? "" : `\n${renderFailure(failure)}`,
  ].join("");
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

function visibleYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0 }).split("\n").map(visible).join("\n");
}
