/** The stages of a run, in the order the data passes through them. */
export const STAGES = [
  "connect",
  "list",
  "fetch",
  "decrypt",
  "decompress",
  "parse",
  "cast",
  "load",
  "publish",
] as const;
export type Stage = (typeof STAGES)[number];

/**
 * Whether trying again may help: `automatic` is retried with backoff and no person is asked;
 * `after_change` helps once somebody changed the file, the credential, the courier or the feed;
 * `never` will fail the same way for ever.
 */
export type Retry = "automatic" | "after_change" | "never";

/** What a person is asked to do about an error: the workflow actions of the source document, and ours. */
export type ActionKind =
  | "bad_archive"
  | "invalid_bucket_name"
  | "invalid_credentials"
  | "missing_file"
  | "pgp_error"
  | "unable_to_decompress"
  | "fix_file_or_settings"
  | "schema_mismatch"
  | "threshold_exceeded"
  | "retry"
  | "restart";

interface CodeFacts {
  readonly retry: Retry;
  /** The workflow action that is raised, or none when the retry is automatic and no person can help. */
  readonly action?: ActionKind;
  /** What the person who configured the courier should do next; one or two sentences, no data. */
  readonly advice: string;
}

const credentials = (advice: string): CodeFacts => ({
  retry: "after_change",
  action: "invalid_credentials",
  advice,
});
const pgp = (advice: string): CodeFacts => ({ retry: "after_change", action: "pgp_error", advice });
const archive = (advice: string): CodeFacts => ({
  retry: "after_change",
  action: "bad_archive",
  advice,
});
const unopened = (advice: string): CodeFacts => ({
  retry: "after_change",
  action: "unable_to_decompress",
  advice,
});
const file = (advice: string): CodeFacts => ({
  retry: "after_change",
  action: "fix_file_or_settings",
  advice,
});
const feed = (advice: string): CodeFacts => ({
  retry: "after_change",
  action: "schema_mismatch",
  advice,
});
const transient = (advice: string): CodeFacts => ({ retry: "automatic", action: "retry", advice });
const changed = (action: ActionKind, advice: string): CodeFacts => ({
  retry: "after_change",
  action,
  advice,
});

/**
 * Every code of every stage. Codes are lower snake case, stable, never reused and unique within a
 * stage; stage and code together are the label of metrics. Boundary rule for containers:
 * `decompress.not_this_container` was never a valid container (configuration), `corrupt` and its
 * kin are a recognised container with bad bytes inside (data), `entry_missing` is a sound container
 * without the entry.
 */
export const CODES = {
  connect: {
    invalid_bucket_name: changed(
      "invalid_bucket_name",
      "Verify the bucket name in the AWS console, then correct it in the credential.",
    ),
    bucket_not_found: changed(
      "invalid_bucket_name",
      "No bucket has this name. Verify it in the AWS console, then correct it in the credential.",
    ),
    wrong_region: changed(
      "invalid_bucket_name",
      "Set the credential's region to the one the bucket lives in.",
    ),
    access_point_vpc_only: changed(
      "invalid_credentials",
      "Use an access point whose network origin is the internet, or the bucket itself.",
    ),
    invalid_credentials: credentials(
      "Check that the target role exists and that its trust policy names the platform role and the external id shown on the credential.",
    ),
    access_denied: credentials(
      "Allow the target role s3:ListBucket on the bucket and s3:GetObject on its objects.",
    ),
    access_revoked: credentials(
      "Access was withdrawn while data was being read. Restore it on the target role, then retry.",
    ),
    trust_policy_open: credentials(
      "The role can be assumed without the external id. Add the sts:ExternalId condition to its trust policy.",
    ),
    endpoint_refused: changed(
      "invalid_credentials",
      "This endpoint is not one the operator allows. Leave it empty for AWS, or ask the operator to allow it.",
    ),
    uploads_not_set_up: changed(
      "retry",
      "Ask the operator to name a bucket of the platform's own by SLUICE_UPLOAD_BUCKET, or name an object of the customer's bucket instead.",
    ),
    source_unavailable: transient("The store did not answer. It is tried again by itself."),
  },
  list: {
    file_not_found: changed(
      "missing_file",
      "Put the file where the courier expects it, correct its key or pattern, or make it optional.",
    ),
    pattern_invalid: changed("missing_file", "Correct the courier's file pattern."),
    worker_lost: transient("The worker stopped while it listed. It is tried again by itself."),
  },
  fetch: {
    object_changed: changed(
      "retry",
      "The object was replaced while it was read. Retry to load its new content.",
    ),
    object_deleted: changed("missing_file", "Put the object back, then retry."),
    object_archived: changed(
      "missing_file",
      "Restore the object from its archive storage class, then retry.",
    ),
    length_mismatch: transient("Fewer or more bytes came than the object has. It is read again."),
    checksum_mismatch: transient("The bytes do not match the object's checksum. It is read again."),
    stalled: transient("The store stopped sending. The rest is asked for again."),
    throttled: transient("The store asks to slow down. It is tried again later."),
  },
  decrypt: {
    not_encrypted: pgp(
      "The file is not an OpenPGP message. Remove the PGP setting, or encrypt the file.",
    ),
    no_matching_key: pgp(
      "The file was encrypted to another key. Add the matching private key to the PGP credential, or have the file encrypted to the held key.",
    ),
    bad_passphrase: pgp("Correct the passphrase of the PGP credential."),
    unusable_key: pgp(
      "The PGP credential holds no private key that can decrypt. Paste the armored private key block, not the public one.",
    ),
    unusable_signer_key: pgp(
      "The signer's key cannot be used. Paste the signer's armored public key block.",
    ),
    unsupported_algorithm: pgp(
      "The file uses an algorithm that is not supported. Encrypt it with a current OpenPGP tool.",
    ),
    no_integrity_protection: pgp(
      "The message carries no integrity protection. Encrypt it with a current OpenPGP tool.",
    ),
    integrity_failed: pgp(
      "The message was altered or damaged after it was encrypted. Upload it again.",
    ),
    truncated: pgp("The message ends too early. Upload it again, whole."),
    signature_invalid: pgp("The signature does not verify. Check who signed the file."),
    limit_exceeded: pgp(
      "The message is over a limit. Split the file, or raise the named limit by SLUICE_LIMITS.",
    ),
  },
  decompress: {
    not_this_container: unopened(
      "The bytes are not what the settings say. Correct the compression or archive setting, or upload the right file.",
    ),
    unsupported_method: unopened("Compress the file with a supported method."),
    entry_encrypted: unopened("Encrypted archives are not opened. Use PGP instead."),
    name_mismatch: unopened(
      "The archive's name differs from the configured one. Correct the courier.",
    ),
    corrupt: archive("The container is damaged. Upload a new file, then retry."),
    checksum_mismatch: archive(
      "The content does not match the container's checksum. Upload a new file, then retry.",
    ),
    truncated: archive("The container ends too early. Upload it again, whole, then retry."),
    duplicate_entry: archive("The archive names one entry twice. Upload a new archive."),
    unsafe_entry: archive("The archive has an entry with an unsafe name or kind."),
    limit_exceeded: archive(
      "The content is over a limit. Split it, or raise the named limit by SLUICE_LIMITS.",
    ),
    disk_unavailable: transient(
      "The worker's disk is full or cannot be written. It is tried again by itself; the operator frees space where SLUICE_SPOOL_DIR is.",
    ),
    empty_archive: archive("The archive holds no file. Upload a new archive."),
    entry_missing: changed(
      "missing_file",
      "Add the file to the archive, or make it optional in the courier.",
    ),
  },
  parse: {
    bad_encoding: file("Declare the file's encoding, or write it as UTF-8."),
    malformed: file("The file does not follow its format at this place. Correct it."),
    record_too_large: file(
      "A record is over the limit, often an unclosed quote. Correct it, or raise the named limit by SLUICE_LIMITS.",
    ),
    unsupported_feature: file("The file uses a feature of its format that is not supported."),
    encrypted_file: file("Encrypted Parquet is not read. Use PGP instead."),
    forbidden_entity: file("Remove the document type declaration and its entities."),
    decoder_crashed: file("The decoder could not survive this file. Write it with another tool."),
  },
  cast: {
    bad_value: feed("The value does not have the field's type."),
    out_of_range: feed("The value does not fit the field's type."),
    null_not_allowed: feed("The field may not be empty."),
    duplicate_key: feed(
      "Let the ingest query give one row for each primary key, or give the feed a primary key that tells its rows apart.",
    ),
    primary_key_null: feed("Every row needs a value in each primary key field."),
    schema_mismatch: feed("Make the file match the feed, or change the feed."),
    threshold_exceeded: changed(
      "threshold_exceeded",
      "Read the rejected rows, correct the file or the feed, or raise the feed's error threshold.",
    ),
  },
  load: {
    unavailable: transient("ClickHouse does not answer. It is tried again by itself."),
    too_many_parts: transient("ClickHouse is merging. It is tried again by itself."),
    out_of_memory: transient("ClickHouse is short of memory. It is tried again by itself."),
    timeout: transient("ClickHouse took too long. It is tried again by itself."),
    rejected: changed("retry", "ClickHouse refused the statement. See the technical message."),
    table_changed: changed(
      "restart",
      "The domain table is not what the feed says it is. Undo the change to the table, or restart.",
    ),
    access_denied: changed("retry", "Grant the loader's user the rights that the guide lists."),
    worker_lost: transient("The worker stopped while it loaded. It is tried again by itself."),
    query_invalid: file(
      "Correct the SQL of the ingest query, or the tags and columns that it names.",
    ),
    query_forbidden: file(
      "An ingest query reads the files of its tags and nothing else. Take the other table or function out.",
    ),
    query_failed: file(
      "The ingest query could not go on with the files' values. Let it read them by functions that take every value, such as toInt64OrNull.",
    ),
  },
  publish: {
    conflict: changed("restart", "The domain table was replaced by someone else. Restart."),
    unverified: changed("restart", "What was staged is not what was sent. Restart."),
    worker_lost: transient("The worker stopped while it published. It is tried again by itself."),
  },
} as const satisfies Record<Stage, Record<string, CodeFacts>>;

/** The codes of one stage. */
export type Code<S extends Stage> = { [T in Stage]: keyof (typeof CODES)[T] & string }[S];

/** What is known of a code whose stage is only known at run time; undefined if no stage has it. */
export function codeFacts(stage: Stage, code: string): CodeFacts | undefined {
  return (CODES[stage] as Record<string, CodeFacts>)[code];
}
