export { type DecryptOptions, decrypt } from "./decrypt.ts";
export { inspectPrivateKeys, type PrivateKeyFacts } from "./private-keys.ts";
export { inspectSignerKeys, type SignerKeyFacts } from "./signer-keys.ts";
