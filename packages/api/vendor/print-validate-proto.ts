// Prints buf/validate/validate.proto out of the descriptor that @bufbuild/protovalidate carries: the npm
// package has no .proto, and `proto/` must be complete without a network. Options other than defaults
// are left out: runtimes bring their own copy of the rules' meaning.
import type { DescEnum, DescExtension, DescField, DescMessage } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type } from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate as file } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

const EXTENSIONS_END = 536870912;
const lines: string[] = [];
const out = (depth: number, text: string): number => lines.push("  ".repeat(depth) + text);

function fieldLine(field: DescField | DescExtension): string {
  const proto = field.proto;
  const type = proto.typeName
    ? proto.typeName.replace(/^\.buf\.validate\./, "").replace(/^\./, "")
    : FieldDescriptorProto_Type[proto.type].toLowerCase();
  const inOneof = field.kind === "field" && field.oneof !== undefined;
  const label =
    proto.label === FieldDescriptorProto_Label.REPEATED ? "repeated " : inOneof ? "" : "optional ";
  return `${label}${type} ${proto.name} = ${proto.number};`;
}

function printEnum(desc: DescEnum, depth: number): void {
  out(depth, `enum ${desc.name} {`);
  for (const value of desc.values) out(depth + 1, `${value.name} = ${value.number};`);
  out(depth, "}");
}

function printMessage(desc: DescMessage, depth: number): void {
  out(depth, `message ${desc.name} {`);
  for (const nested of desc.nestedEnums) printEnum(nested, depth + 1);
  for (const nested of desc.nestedMessages) printMessage(nested, depth + 1);
  for (const member of desc.members) {
    if (member.kind === "field") {
      out(depth + 1, fieldLine(member));
    } else {
      out(depth + 1, `oneof ${member.name} {`);
      for (const field of member.fields) out(depth + 2, fieldLine(field));
      out(depth + 1, "}");
    }
  }
  for (const range of desc.proto.extensionRange) {
    const end = range.end === EXTENSIONS_END ? "max" : range.end - 1;
    out(depth + 1, `extensions ${range.start} to ${end};`);
  }
  out(depth, "}");
}

out(
  0,
  "// The rules of protovalidate. Printed from the descriptor in @bufbuild/protovalidate (Apache-2.0) by",
);
out(0, "// packages/api/vendor/print-validate-proto.ts: do not edit.");
out(0, 'syntax = "proto2";');
out(0, "package buf.validate;");
for (const dependency of file.dependencies) out(0, `import "${dependency.name}.proto";`);
for (const extension of file.extensions) {
  out(0, `extend ${extension.extendee.typeName} {`);
  out(1, fieldLine(extension));
  out(0, "}");
}
for (const desc of file.enums) printEnum(desc, 0);
for (const desc of file.messages) printMessage(desc, 0);
console.log(lines.join("\n"));
