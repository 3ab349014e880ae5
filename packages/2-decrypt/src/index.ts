export { type DecryptOptions, decrypt } from "./decrypt.ts";
export {
  DEFAULT_LIMITS as DECRYPT_LIMITS,
  type DecryptLimits,
  limitsOf as decryptLimitsOf,
} from "./limits.ts";
export { inspectPrivateKeys, type PrivateKeyFacts } from "./private-keys.ts";
export { type Recipients, readRecipients } from "./read-recipients.ts";
export { inspectSignerKeys, type SignerKeyFacts } from "./signer-keys.ts";
