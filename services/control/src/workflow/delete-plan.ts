import { fromJson, toJson } from "@bufbuild/protobuf";
import {
  type DeleteRowsChange,
  DeleteRowsChangeSchema,
} from "@sluice/api/ingest/v1/table_change_pb";
import type { SecretBox } from "../secrets/secret-box.ts";

/** What was planned to be deleted, and the table that it was planned for. */
export interface DeletePlan {
  readonly feedId: string;
  /** The number of the newest change on record; 0 when there was none. */
  readonly newestChange: number;
  readonly change: DeleteRowsChange;
}

/** A plan as a token that only this installation can make: nobody deletes rows that were never counted. */
export function sealDeletePlan(secrets: SecretBox, plan: DeletePlan): string {
  const body = Buffer.from(
    JSON.stringify({ ...plan, change: toJson(DeleteRowsChangeSchema, plan.change) }),
  );
  return `${body.toString("base64url")}.${secrets.digest(body).toString("base64url")}`;
}

/** The plan of a token; undefined when this installation did not make it. */
export function openDeletePlan(secrets: SecretBox, token: string): DeletePlan | undefined {
  const [text = "", digest = ""] = token.split(".");
  const body = Buffer.from(text, "base64url");
  if (!secrets.isDigest(body, Buffer.from(digest, "base64url"))) return undefined;
  const { feedId, newestChange, change } = JSON.parse(body.toString("utf8"));
  return { feedId, newestChange, change: fromJson(DeleteRowsChangeSchema, change) };
}
