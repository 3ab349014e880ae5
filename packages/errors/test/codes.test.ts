import { expect, test } from "vitest";
import { type ActionKind, CODES, codeFacts, STAGES } from "../src/index.ts";

/** Every code of every stage by the action that it raises. */
function codesByAction(): Map<ActionKind, string[]> {
  const byAction = new Map<ActionKind, string[]>();
  for (const stage of STAGES) {
    for (const code of Object.keys(CODES[stage])) {
      const action = codeFacts(stage, code)?.action;
      if (action === undefined) continue;
      byAction.set(action, [...(byAction.get(action) ?? []), `${stage}.${code}`]);
    }
  }
  return byAction;
}

/** Which failure is whose: what people and their programs go by, so that no code changes sides unnoticed. */
const RAISED_BY: Readonly<Partial<Record<ActionKind, readonly string[]>>> = {
  // A container that was recognised, with bad bytes inside.
  bad_archive: [
    "decompress.corrupt",
    "decompress.checksum_mismatch",
    "decompress.truncated",
    "decompress.duplicate_entry",
    "decompress.unsafe_entry",
    "decompress.limit_exceeded",
    "decompress.empty_archive",
  ],
  // What never was a container that these settings open.
  unable_to_decompress: [
    "decompress.not_this_container",
    "decompress.unsupported_method",
    "decompress.entry_encrypted",
    "decompress.name_mismatch",
  ],
  // No such object, or a sound container without the entry.
  missing_file: [
    "list.file_not_found",
    "list.pattern_invalid",
    "fetch.object_deleted",
    "fetch.object_archived",
    "decompress.entry_missing",
  ],
  pgp_error: [
    "decrypt.not_encrypted",
    "decrypt.no_matching_key",
    "decrypt.bad_passphrase",
    "decrypt.unusable_key",
    "decrypt.unusable_signer_key",
    "decrypt.unsupported_algorithm",
    "decrypt.no_integrity_protection",
    "decrypt.integrity_failed",
    "decrypt.truncated",
    "decrypt.signature_invalid",
    "decrypt.limit_exceeded",
  ],
  invalid_bucket_name: [
    "connect.invalid_bucket_name",
    "connect.bucket_not_found",
    "connect.wrong_region",
  ],
  invalid_credentials: [
    "connect.access_point_vpc_only",
    "connect.invalid_credentials",
    "connect.access_denied",
    "connect.access_revoked",
    "connect.trust_policy_open",
    "connect.endpoint_refused",
  ],
};

test.each(Object.entries(RAISED_BY))(
  "%s is raised by these codes and no others",
  (action, codes) => {
    const found = [...codesByAction()].find(([kind]) => kind === action)?.[1];
    expect(found?.toSorted()).toEqual([...codes].sort());
  },
);

test("what is repeated by itself asks for nothing but patience, and everything else for a change", () => {
  for (const stage of STAGES) {
    for (const code of Object.keys(CODES[stage])) {
      const facts = codeFacts(stage, code);
      const isAutomatic = facts?.retry === "automatic";
      if (isAutomatic) expect(facts?.action, `${stage}.${code}`).toBe("retry");
      else expect(facts?.retry, `${stage}.${code}`).toBe("after_change");
    }
  }
});
