import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FieldTypeSchema } from "@sluice/api/control/v1/feed_pb";
import type {
  PreviewRawSchema,
  PreviewRowSchema,
  PreviewSchema,
  PreviewTableSchema,
} from "@sluice/api/control/v1/preview_pb";
import type { SampledRow } from "@sluice/load";
import type { FieldType, ManifestObject } from "@sluice/schema";
import { toStageFailure } from "../to-proto.ts";
import type { SeenLayer } from "./layer-watch.ts";
import type { Look } from "./look-at-object.ts";
import type { RawSeen } from "./raw-view.ts";
import type { TableSeen } from "./table-view.ts";

/** Translates what was seen of an object into messages for control. */

type PreviewMessage = Exclude<MessageInitShape<typeof PreviewSchema>, { $typeName: string }>;
type Content = NonNullable<PreviewMessage["content"]>;

/** What looks of all kinds have in common. */
export function toLookMessage(
  look: Look<unknown>,
  object: ManifestObject,
): Omit<PreviewMessage, "settings" | "content"> {
  const { entry, failure, layers, warnings, route, isComplete, bytesRead } = look;
  return {
    entry,
    layers: toLayerMessages(layers, isComplete),
    warnings: [...warnings],
    complete: isComplete,
    route,
    ...(failure === undefined ? {} : { failure: toStageFailure(failure) }),
    objectBytes: BigInt(object.size),
    bytesRead: BigInt(bytesRead),
    etag: object.etag,
  };
}

/** The layers that were met; only a tar read to its end has told all of its files. */
export function toLayerMessages(
  layers: readonly SeenLayer[],
  isComplete: boolean,
): NonNullable<PreviewMessage["layers"]> {
  return layers.map(({ kind, file, entries }) => ({
    kind,
    file,
    entries: [...entries],
    moreEntries: kind === "tar" && !isComplete,
  }));
}

export function toRawMessage({ bytes, isText, hasMore }: RawSeen): Content {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value: MessageInitShape<typeof PreviewRawSchema> = {
    shown: isText
      ? { case: "text", value: buffer.toString("utf8") }
      : { case: "hex", value: buffer.toString("hex") },
    byteCount: BigInt(bytes.byteLength),
    moreBytes: hasMore,
  };
  return { case: "raw", value };
}

export function toTableMessage({ plan, rows, hasMore }: TableSeen, isTyped: boolean): Content {
  const value: MessageInitShape<typeof PreviewTableSchema> = {
    columns: plan.fields.map(({ field, column }) => ({
      name: isTyped ? field.name : field.incomingName,
      path: field.path ?? "",
      sourceType: column?.type ?? "",
      ...(isTyped ? { type: toFieldTypeMessage(field.type) } : {}),
    })),
    rows: rows.map(toRowMessage),
    moreRows: hasMore,
  };
  return { case: "table", value };
}

function toRowMessage({
  row,
  byteOffset,
  cells,
  reject,
}: SampledRow): MessageInitShape<typeof PreviewRowSchema> {
  return {
    row: BigInt(row),
    byteOffset: BigInt(byteOffset),
    cells: cells.map(({ value, code, raw, isCut }) => ({
      ...(value === null ? {} : { value }),
      code,
      raw,
      truncated: isCut,
    })),
    ...(reject && {
      reject: { ...reject, row: BigInt(row), byteOffset: BigInt(byteOffset) },
    }),
  };
}

/** A field's type as the API spells it. */
export function toFieldTypeMessage(type: FieldType): MessageInitShape<typeof FieldTypeSchema> {
  if (type.kind === "decimal") {
    const { precision, scale } = type;
    return { type: { case: "decimal", value: { precision, scale } } };
  }
  return { type: { case: type.kind, value: {} } };
}
