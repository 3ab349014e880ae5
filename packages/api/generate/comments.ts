import type { AnyDesc, DescFile } from "@bufbuild/protobuf";
import { getComments } from "@bufbuild/protoplugin";

/** What the .proto file says before a declaration, as one paragraph. */
export function commentOf(desc: Exclude<AnyDesc, DescFile>): string {
  return (getComments(desc).leading ?? "").trim().replaceAll(/\s*\n\s*/g, " ");
}
