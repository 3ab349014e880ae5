import type { DescMessage, JsonObject } from "@bufbuild/protobuf";
import { CreateCourierRequestSchema } from "@sluice/api/control/v1/courier_service_pb";
import {
  CreateCredentialRequestSchema,
  UpdateCredentialRequestSchema,
} from "@sluice/api/control/v1/credential_service_pb";
import { UpdateFeedRequestSchema } from "@sluice/api/control/v1/feed_service_pb";
import { PreviewObjectRequestSchema } from "@sluice/api/control/v1/preview_pb";
import { describe, expect, it } from "vitest";
import { flagsOf, positionalsOf } from "../src/fields.ts";
import { toMessage, toRequestJson } from "../src/request.ts";

/** The request of some flags, and of what stands on standard input. */
async function request(
  desc: DescMessage,
  flags: Readonly<Record<string, readonly (string | true)[]>>,
  input?: string,
): Promise<JsonObject> {
  const fields = [...positionalsOf(desc), ...flagsOf(desc)];
  const written = Object.entries(flags).map(([flag, values]) => {
    const field = fields.find((each) => each.flag === flag);
    if (field === undefined) throw new Error(`no flag ${flag}`);
    return { field, values };
  });
  const json = await toRequestJson(desc, written, input === undefined ? undefined : "-", {
    env: {},
    isInteractive: false,
    columns: undefined,
    out: () => {},
    err: () => {},
    readInput: async () => Buffer.from(input ?? ""),
    signal: new AbortController().signal,
  });
  delete json.requestId;
  return json;
}

describe("an update", () => {
  it("names in its mask what flags change, the outermost of nested ones", async () => {
    expect(
      await request(UpdateCredentialRequestSchema, {
        id: ["cred"],
        description: ["new"],
        "iam-role-to-role.bucket": ["other"],
      }),
    ).toEqual({
      credential: { id: "cred", description: "new", iamRoleToRole: { bucket: "other" } },
      updateMask: "description,iamRoleToRole.bucket",
    });
  });

  it("names the fields of a file, without those that the service makes", async () => {
    const file = "etag: x\ndescription: from a file\nname: New\n";
    expect(await request(UpdateCredentialRequestSchema, { id: ["cred"] }, file)).toMatchObject({
      credential: { id: "cred", etag: "x", name: "New" },
      updateMask: "description,name",
    });
  });

  it("is a part of its resource, which only the service can judge", async () => {
    const json = await request(UpdateFeedRequestSchema, {
      id: ["feed"],
      "spec.make-available-to-stitch": [true],
    });
    expect(() => toMessage(UpdateFeedRequestSchema, json)).not.toThrow();
  });
});

describe("what is written for a field", () => {
  it("is a list for a repeated flag, JSON or YAML for messages, a short name for an enum", async () => {
    expect(
      await request(CreateCourierRequestSchema, {
        name: ["c"],
        files: ["{tag: a}", '[{"tag": "b"}, {"tag": "c"}]'],
      }),
    ).toMatchObject({ courier: { files: [{ tag: "a" }, { tag: "b" }, { tag: "c" }] } });
    const view = async (name: string): Promise<unknown> =>
      (await request(PreviewObjectRequestSchema, { view: [name] })).view;
    expect(await view("raw")).toBe("PREVIEW_VIEW_RAW");
    expect(await view("PREVIEW_VIEW_RAW")).toBe("PREVIEW_VIEW_RAW");
    await expect(view("hex")).rejects.toThrow("--view: hex is none of table, raw");
  });

  it("is an empty message for a bare flag, beside flags below it", async () => {
    expect(
      await request(PreviewObjectRequestSchema, {
        "settings.delimited": [true],
        "settings.delimited.delimiter": [";"],
      }),
    ).toEqual({ settings: { delimited: { delimiter: ";" } } });
  });

  it("is a file's content after @, and a text that begins with @ after @@", async () => {
    const passphrase = async (written: string): Promise<unknown> =>
      await request(CreateCredentialRequestSchema, { "pgp.passphrase": [written] }, "{}");
    expect(await passphrase("@@home")).toEqual({ credential: { pgp: { passphrase: "@home" } } });
    await expect(passphrase("@/nowhere")).rejects.toThrow("--pgp.passphrase: ENOENT");
  });
});

it("flags go over what the file says", async () => {
  const file = "name: file\ndescription: file\n";
  expect(await request(CreateCourierRequestSchema, { name: ["flag"] }, file)).toMatchObject({
    courier: { name: "flag" },
  });
});

it("what the service makes has no flag", () => {
  const flags = flagsOf(CreateCredentialRequestSchema).map(({ flag }) => flag);
  expect(flags).toContain("iam-role-to-role.target-role-arn");
  for (const made of ["id", "create-time", "iam-role-to-role.external-id", "pgp.key-ids"]) {
    expect(flags).not.toContain(made);
  }
});
