// Writes what protoc-gen-es does not, from the image that `buf build` makes of proto/: the catalog of services with the
// comments of everything in it (src/sluice/control/v1/catalog.ts), and the API's reference (docs/api.md).
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createFileRegistry, type DescFile, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { writeCatalog } from "./catalog.ts";
import { writeReference } from "./reference.ts";

const image = execFileSync("buf", ["build", "-o", "-"]);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
const files: DescFile[] = [...registry.files]
  .filter((file) => file.proto.package === "sluice.control.v1")
  .sort((a, b) => (a.name < b.name ? -1 : 1));

const at = (path: string): URL => new URL(path, import.meta.url);
writeFileSync(at("../src/sluice/control/v1/catalog.ts"), writeCatalog(files));
writeFileSync(at("../../../docs/api.md"), writeReference(files));
