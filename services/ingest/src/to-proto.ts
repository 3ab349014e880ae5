import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type ProposedChangeSchema,
  type StageFailure as StageFailureMessage,
  StageFailureSchema,
  Stage as StageMessage,
} from "@sluice/api/control/v1/failure_pb";
import type { ListedObjectSchema } from "@sluice/api/control/v1/source_pb";
import type { ProposedSetting, Stage, StageFailure } from "@sluice/errors";
import type { ListedObject } from "@sluice/schema";

/** Translates the stages' plain words into messages for control. */

export const STAGE_MESSAGES: Record<Stage, StageMessage> = {
  connect: StageMessage.CONNECT,
  list: StageMessage.LIST,
  fetch: StageMessage.FETCH,
  decrypt: StageMessage.DECRYPT,
  decompress: StageMessage.DECOMPRESS,
  parse: StageMessage.PARSE,
  cast: StageMessage.CAST,
  load: StageMessage.LOAD,
  publish: StageMessage.PUBLISH,
};

/**
 * A failure for control, which fills in what follows from stage and code alone: whether to try again,
 * the advice, the workflow action.
 */
export function toStageFailure(failure: StageFailure): StageFailureMessage {
  const { stage, code, coordinate } = failure;
  const place: MessageInitShape<typeof StageFailureSchema>["coordinate"] = {
    bucket: coordinate.bucket ?? "",
    key: coordinate.key ?? "",
    etag: coordinate.etag ?? "",
    versionId: coordinate.versionId ?? "",
    layers: (coordinate.layers ?? []).map((layer) => ({
      kind: layer.kind,
      name: layer.name ?? "",
      offset: BigInt(layer.offset ?? 0),
    })),
    entry: coordinate.entry ?? "",
    column: coordinate.column ?? "",
    ...(coordinate.row === undefined ? {} : { row: BigInt(coordinate.row) }),
    ...(coordinate.byteOffset === undefined ? {} : { byteOffset: BigInt(coordinate.byteOffset) }),
  };
  return create(StageFailureSchema, {
    stage: STAGE_MESSAGES[stage],
    code,
    message: failure.message,
    coordinate: place,
    seen: failure.seen ?? "",
    expected: failure.expected ?? "",
    ...(failure.proposed === undefined
      ? {}
      : { proposedChange: toProposedChange(failure.proposed) }),
  });
}

/** An object as a listing shows it. */
export function toListedObject({
  key,
  size,
  etag,
  lastModified,
  storageClass,
}: ListedObject): MessageInitShape<typeof ListedObjectSchema> {
  const modifyTime = timestampFromDate(lastModified);
  return { key, size: BigInt(size), etag, modifyTime, storageClass };
}

/** The settings in the words of the API: FileSettings in JSON. */
function toProposedChange(
  proposed: readonly ProposedSetting[],
): MessageInitShape<typeof ProposedChangeSchema> {
  const value: JsonObject = {};
  /** A setting of a format: beside it, if the format is proposed too. */
  const ofFormat = (format: "delimited" | "json" | "xml", path: string, set: JsonObject): void => {
    if (!paths.includes(format)) paths.push(`${format}.${path}`);
    value[format] = { ...(value[format] as JsonObject | undefined), ...set };
  };
  const paths: string[] = [];
  for (const each of proposed) {
    switch (each.setting) {
      case "compression":
        paths.push("compression");
        value.compression = `COMPRESSION_${each.value.toUpperCase()}`;
        break;
      case "archive":
        paths.push("archive");
        if (each.value !== "none") value.archive = { kind: `KIND_${each.value.toUpperCase()}` };
        break;
      case "format":
        paths.push(each.value);
        value[each.value] = {};
        break;
      case "delimited.delimiter":
        ofFormat("delimited", "delimiter", { delimiter: each.value });
        break;
      case "delimited.encoding": {
        const name = each.value.toUpperCase().replaceAll("-", "_");
        ofFormat("delimited", "encoding", { encoding: `ENCODING_${name}` });
        break;
      }
      case "json.shape":
        ofFormat("json", "shape", { shape: `SHAPE_${each.value.toUpperCase()}` });
        break;
      case "xml.rowElement":
        ofFormat("xml", "row_element", { rowElement: each.value });
        break;
    }
  }
  return { updateMask: { paths }, value };
}
