import type { CourierGroup } from "@sluice/api/control/v1/courier_group_pb";
import { RunType } from "@sluice/api/control/v1/group_run_pb";
import type { GroupRunTable } from "../database/schema.ts";

/** What a run does: the couriers, the custom domain tables, or the one and then the other. */
export type RunTypeName = GroupRunTable["run_type"];

/** Requests are validated before: there is no other type. */
export function fromRunType(type: RunType): RunTypeName {
  switch (type) {
    case RunType.REFRESH:
      return "refresh";
    case RunType.SOURCE:
      return "source";
    default:
      return "full";
  }
}

export function toRunType(name: RunTypeName): RunType {
  switch (name) {
    case "full":
      return RunType.FULL;
    case "refresh":
      return RunType.REFRESH;
    case "source":
      return RunType.SOURCE;
  }
}

/** What is wrong with a run of the group that does so; undefined when nothing is. */
export function runTypeFault(
  type: RunTypeName,
  { customDomainTableIds }: CourierGroup,
): { readonly rule: string; readonly message: string } | undefined {
  if (type !== "refresh" || customDomainTableIds.length > 0) return undefined;
  return {
    rule: "run_type.nothing_to_refresh",
    message:
      "publishes custom domain tables anew, and the group has none: name some in custom_domain_table_ids",
  };
}
