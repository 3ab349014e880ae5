import { create } from "@bufbuild/protobuf";
import { type Plugin, PluginSchema } from "@sluice/api/control/v1/source_pb";

/** The kinds of places that data comes from, by name (CO-2). */
const PLUGINS: readonly Plugin[] = [
  create(PluginSchema, {
    id: "amazon-s3",
    name: "Amazon S3",
    credentialKinds: ["iam_role_to_role", "access_key"],
  }),
];

/** The plugins whose name holds the text, whatever its case. */
export function findPlugins(search: string): Plugin[] {
  const wanted = search.trim().toLowerCase();
  return PLUGINS.filter((plugin) => plugin.name.toLowerCase().includes(wanted));
}
