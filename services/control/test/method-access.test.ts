import type { DescMethod, DescService } from "@bufbuild/protobuf";
import * as catalog from "@sluice/api/control/v1/catalog";
import { CredentialService } from "@sluice/api/control/v1/credential_service_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import { Health } from "@sluice/api/grpc/health/v1/health_pb";
import { ServerReflection } from "@sluice/api/grpc/reflection/v1/reflection_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { describe, expect, test } from "vitest";
import { accessOf, METHOD_ACCESS } from "../src/access/method-access.ts";

/** Every service that control can serve: the generated catalog grows with proto/ by itself. */
const SERVICES: readonly DescService[] = [
  ...catalog.SERVICES,
  TaskService,
  Health,
  ServerReflection,
];
const name = (method: DescMethod): string => `${method.parent.typeName}/${method.name}`;
const METHODS = SERVICES.flatMap((service) => service.methods);

describe("the table of who may call", () => {
  test.each(METHODS.map((method) => [name(method), method] as const))("knows %s", (_, method) => {
    expect(accessOf(method)).toBeDefined();
  });

  test("knows no method that is not there", () => {
    const entries = Object.entries(METHOD_ACCESS).flatMap(([service, methods]) =>
      Object.keys(methods).map((method) => `${service}/${method}`),
    );
    expect(entries.toSorted()).toEqual(METHODS.map(name).toSorted());
  });

  test("leaves to workers what is theirs, and nothing else; opens health and reflection alone to everybody", () => {
    const withAccess = (access: string): string[] =>
      METHODS.filter((method) => accessOf(method) === access).map(name);
    expect(withAccess("worker")).toEqual(TaskService.methods.map(name));
    expect(withAccess("anyone")).toEqual(
      [...Health.methods, ...ServerReflection.methods].map(name),
    );
  });

  test("lets a viewer change nothing: what has side effects takes an operator at least", () => {
    const changing = METHODS.filter((method) => accessOf(method) === "viewer").filter(
      // NO_SIDE_EFFECTS
      ({ idempotency }) => idempotency !== 1,
    );
    expect(changing.map(name)).toEqual([]);
  });

  test("does not take an inherited property for an entry", () => {
    const method = { ...CredentialService.methods[0], name: "constructor" } as DescMethod;
    expect(accessOf(method)).toBeUndefined();
    const parent = { ...WorkflowService, typeName: "constructor" } as DescService;
    expect(accessOf({ ...method, parent } as DescMethod)).toBeUndefined();
  });
});
