export { type DecryptOptions, decrypt } from "./decrypt.ts";
export { inspectPrivateKeys, type PrivateKeyFacts } from "./private-keys.ts";
