import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  CredentialSetting_Type,
  type CredentialSettingSchema,
  type CredentialType,
  CredentialTypeSchema,
} from "@sluice/api/control/v1/credential_type_pb";
import type { PlatformIdentity } from "./platform-identity.ts";

type Setting = MessageInitShape<typeof CredentialSettingSchema>;

const { TEXT, TEXT_LIST, LONG_TEXT, LONG_TEXT_LIST } = CredentialSetting_Type;

/** Only what a form can tell at once; judgeBucket looks closer, and names the field. */
const BUCKET: Setting = {
  name: "bucket",
  label: "S3 Bucket Name",
  type: TEXT,
  required: true,
  maxLength: 300,
  pattern:
    "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:aws[a-z-]*:s3:[a-z0-9-]+:[0-9]{12}:accesspoint[/:][a-z0-9][a-z0-9-]{1,48}[a-z0-9]",
  example: "acme-exports",
  help: "The name of the bucket from which data is pulled, or an access point's ARN or alias whose network origin is the internet.",
};
const REGION: Setting = {
  name: "region",
  label: "Region",
  type: TEXT,
  maxLength: 40,
  pattern: "[a-z0-9]+(-[a-z0-9]+)*",
  example: "eu-central-1",
  help: "The bucket's region; us-east-1 when empty.",
};
const ENDPOINT: Setting = {
  name: "endpoint",
  label: "Endpoint",
  type: TEXT,
  maxLength: 300,
  pattern: "https?://[^/?#@]+/?",
  example: "https://storage.example.com",
  help: "The address of an S3-compatible store that the operator allows; empty for AWS.",
};

/** An access point is opened by a role alone (CR-16). */
const PLAIN_BUCKET: Setting = {
  ...BUCKET,
  pattern: "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
  help: "The name of the bucket from which data is pulled. Access points need the type iam-role-to-role.",
};

const TYPES: readonly MessageInitShape<typeof CredentialTypeSchema>[] = [
  {
    name: "access-key",
    kind: "access_key",
    plugin: "amazon-s3",
    label: "Access key",
    help: "Keys of an S3-compatible store. For AWS, prefer iam-role-to-role: nothing secret is kept for it.",
    settings: [
      {
        name: "access_key_id",
        label: "Access Key ID",
        type: TEXT,
        required: true,
        maxLength: 200,
        example: "AKIAIOSFODNN7EXAMPLE",
        help: "The key's id.",
      },
      {
        name: "secret_access_key",
        label: "Secret Access Key",
        type: TEXT,
        required: true,
        secret: true,
        maxLength: 1000,
        help: "The secret that belongs to the id. Kept encrypted, and never shown again.",
      },
      PLAIN_BUCKET,
      REGION,
      ENDPOINT,
    ],
  },
  {
    name: "iam-role-to-role",
    kind: "iam_role_to_role",
    plugin: "amazon-s3",
    label: "Cross-account role",
    help: "A role in the customer's AWS account that the platform's role assumes. Setting it up needs administrative access to that account: add the trust policy of GetTrustPolicy to the role.",
    settings: [
      {
        name: "platform_role_arn",
        label: "Platform Role ARN",
        type: TEXT,
        readOnly: true,
        help: "Provided by the service: the role that the target role has to trust.",
      },
      {
        name: "external_id",
        label: "External ID",
        type: TEXT,
        readOnly: true,
        pattern: "[A-Za-z0-9+=,.@:/-]{2,1224}",
        maxLength: 1224,
        help: "Provided by the service: what the target role's trust policy has to demand.",
      },
      {
        name: "target_role_arn",
        label: "Target Role ARN",
        type: TEXT,
        required: true,
        pattern: "arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,576}",
        maxLength: 620,
        example: "arn:aws:iam::123456789012:role/sluice-reader",
        help: "The role that may read the bucket. It needs s3:ListBucket on the bucket and s3:GetObject on its objects; s3:GetAccessPoint lets the service explain an access point that refuses it.",
      },
      BUCKET,
      REGION,
      ENDPOINT,
    ],
  },
  {
    name: "pgp",
    kind: "pgp",
    plugin: "pgp",
    label: "PGP keys",
    help: "What opens OpenPGP messages: private keys, a passphrase, or both.",
    settings: [
      {
        name: "private_key_block",
        label: "Private Key Block",
        type: LONG_TEXT,
        secret: true,
        maxLength: 1_000_000,
        example: "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        help: "One or more armored private keys. Required unless a passphrase is given. Never shown again.",
      },
      {
        name: "passphrase",
        label: "Passphrase",
        type: TEXT,
        secret: true,
        maxLength: 10_000,
        help: "Opens the private keys, and messages encrypted to a passphrase. Never shown again.",
      },
      {
        name: "signer_public_keys",
        label: "Signers' Public Keys",
        type: LONG_TEXT_LIST,
        maxLength: 1_000_000,
        example: "-----BEGIN PGP PUBLIC KEY BLOCK-----",
        help: "When there are any, every message has to be signed by one of them.",
      },
      {
        name: "fingerprints",
        label: "Fingerprints",
        type: TEXT_LIST,
        readOnly: true,
        help: "Provided by the service: the fingerprints of the private keys.",
      },
      {
        name: "key_ids",
        label: "Key IDs",
        type: TEXT_LIST,
        readOnly: true,
        help: "Provided by the service: the ids of the keys and subkeys.",
      },
    ],
  },
];

/** The types of credential of a plugin, or all of them, by name, with what the tenant's credentials have in common. */
export function listCredentialTypes(plugin: string, identity: PlatformIdentity): CredentialType[] {
  const values: Readonly<Record<string, string>> = {
    platform_role_arn: identity.platformRoleArn,
    external_id: identity.externalId,
  };
  return TYPES.map((type) => create(CredentialTypeSchema, type))
    .filter((type) => plugin === "" || type.plugin === plugin)
    .map((type) => {
      for (const setting of type.settings) setting.value = values[setting.name] ?? "";
      return type;
    });
}
