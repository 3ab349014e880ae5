import type { DescFile } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { commentOf } from "./comments.ts";

/** A module with every service of the files, and the comment of everything that has one, by its full name. */
export function writeCatalog(files: readonly DescFile[]): string {
  const services = files.flatMap((file) =>
    file.services.map((service) => ({
      name: service.name,
      module: `./${file.name.split("/").at(-1)}_pb.ts`,
    })),
  );
  const comments = files.flatMap(commentsOf).filter(([, comment]) => comment !== "");
  return `// Generated from proto/ by packages/api/generate. Never edited.
import type { DescService } from "@bufbuild/protobuf";
${services.map(({ name, module }) => `import { ${name} } from "${module}";`).join("\n")}

/** Every service that control serves to people and platforms. */
export const SERVICES: readonly DescService[] = [
${services.map(({ name }) => `  ${name},`).join("\n")}
];

/** What the .proto files say about services, methods, messages, fields, enums and their values, by full name. */
export const COMMENTS: Readonly<Record<string, string>> = {
${comments.map(([name, comment]) => `  ${JSON.stringify(name)}: ${JSON.stringify(comment)},`).join("\n")}
};
`;
}

function commentsOf(file: DescFile): [string, string][] {
  return [...nestedTypes(file)].flatMap((type): [string, string][] => {
    const own: [string, string] = [type.typeName, commentOf(type)];
    switch (type.kind) {
      case "message":
        return [
          own,
          ...[...type.fields, ...type.oneofs].map((member): [string, string] => [
            `${type.typeName}.${member.name}`,
            commentOf(member),
          ]),
        ];
      case "enum":
        return [
          own,
          ...type.values.map((value): [string, string] => [
            `${type.typeName}.${value.name}`,
            commentOf(value),
          ]),
        ];
      case "service":
        return [
          own,
          ...type.methods.map((method): [string, string] => [
            `${type.typeName}.${method.name}`,
            commentOf(method),
          ]),
        ];
      default:
        return [];
    }
  });
}
