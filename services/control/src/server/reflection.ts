import { create, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "@sluice/api/grpc/reflection/v1/reflection_pb";

type Answer = ServerReflectionResponse["messageResponse"];

/** What clients can ask about, by name. */
interface Catalog {
  readonly services: readonly string[];
  readonly files: ReadonlyMap<string, DescFile>;
  /** The file of every symbol: messages, fields, enums, their values, services, methods. */
  readonly symbols: ReadonlyMap<string, DescFile>;
  /** The file of every extension, by the extended type and the number. */
  readonly extensions: ReadonlyMap<string, ReadonlyMap<number, DescFile>>;
}

/** grpc.reflection.v1 for the given services and all that their files import. */
export function reflectionRoutes(router: ConnectRouter, services: readonly DescService[]): void {
  const catalog = createCatalog([...services, ServerReflection]);
  router.service(ServerReflection, {
    serverReflectionInfo: async function* (requests) {
      for await (const request of requests) {
        yield create(ServerReflectionResponseSchema, {
          validHost: request.host,
          originalRequest: request,
          messageResponse: answer(catalog, request),
        });
      }
    },
  });
}

function answer(catalog: Catalog, { messageRequest }: ServerReflectionRequest): Answer {
  switch (messageRequest.case) {
    case "listServices":
      return {
        case: "listServicesResponse",
        value: {
          $typeName: "grpc.reflection.v1.ListServiceResponse",
          service: catalog.services.map((name) => ({
            $typeName: "grpc.reflection.v1.ServiceResponse",
            name,
          })),
        },
      };
    case "fileByFilename":
      return fileAnswer(catalog.files.get(messageRequest.value), messageRequest.value);
    case "fileContainingSymbol": {
      const symbol = messageRequest.value.replace(/^\./, "");
      return fileAnswer(catalog.symbols.get(symbol), symbol);
    }
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = messageRequest.value;
      const file = catalog.extensions.get(containingType)?.get(extensionNumber);
      return fileAnswer(file, `${containingType} extension ${extensionNumber}`);
    }
    case "allExtensionNumbersOfType": {
      const numbers = catalog.extensions.get(messageRequest.value);
      if (numbers === undefined && !catalog.symbols.has(messageRequest.value)) {
        return errorAnswer(Code.NotFound, `${messageRequest.value} is not known`);
      }
      return {
        case: "allExtensionNumbersResponse",
        value: {
          $typeName: "grpc.reflection.v1.ExtensionNumberResponse",
          baseTypeName: messageRequest.value,
          extensionNumber: [...(numbers?.keys() ?? [])],
        },
      };
    }
    case undefined:
      return errorAnswer(Code.InvalidArgument, "message_request is not set");
  }
}

/** The file first, then all it imports, each once: a client can build it without asking again. */
function fileAnswer(file: DescFile | undefined, asked: string): Answer {
  if (file === undefined) {
    return errorAnswer(Code.NotFound, `${asked} is not known`);
  }
  const files = new Map<string, DescFile>();
  collect(file, files);
  return {
    case: "fileDescriptorResponse",
    value: {
      $typeName: "grpc.reflection.v1.FileDescriptorResponse",
      fileDescriptorProto: [...files.values()]
        .reverse()
        .map((each) => toBinary(FileDescriptorProtoSchema, each.proto)),
    },
  };
}

function errorAnswer(errorCode: Code, errorMessage: string): Answer {
  return {
    case: "errorResponse",
    value: { $typeName: "grpc.reflection.v1.ErrorResponse", errorCode, errorMessage },
  };
}

function createCatalog(services: readonly DescService[]): Catalog {
  const files = new Map<string, DescFile>();
  for (const service of services) {
    collect(service.file, files);
  }
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  for (const file of files.values()) {
    for (const type of nestedTypes(file)) {
      symbols.set(type.typeName, file);
      switch (type.kind) {
        case "message":
          for (const member of [...type.fields, ...type.oneofs]) {
            symbols.set(`${type.typeName}.${member.name}`, file);
          }
          break;
        case "enum": {
          // The values of an enum are its siblings, not its children.
          const scope = type.typeName.slice(0, -type.name.length);
          for (const value of type.values) {
            symbols.set(`${scope}${value.name}`, file);
          }
          break;
        }
        case "service":
          for (const method of type.methods) {
            symbols.set(`${type.typeName}.${method.name}`, file);
          }
          break;
        case "extension": {
          const numbers = extensions.get(type.extendee.typeName) ?? new Map<number, DescFile>();
          numbers.set(type.number, file);
          extensions.set(type.extendee.typeName, numbers);
          break;
        }
      }
    }
  }
  // Files are named without ".proto" in descriptors, and with it on the wire.
  const byName = new Map([...files.values()].map((file) => [file.proto.name, file]));
  return {
    services: services.map((service) => service.typeName),
    files: byName,
    symbols,
    extensions,
  };
}

/** Imports before the files that need them. */
function collect(file: DescFile, files: Map<string, DescFile>): void {
  if (files.has(file.name)) {
    return;
  }
  for (const dependency of file.dependencies) {
    collect(dependency, files);
  }
  files.set(file.name, file);
}
