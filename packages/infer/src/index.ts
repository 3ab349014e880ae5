export { type Guess, guess } from "./guess.ts";
export {
  type Dialect,
  type DialectGuess,
  inferDialect,
  type Trial,
  type TryDialect,
} from "./infer-dialect.ts";
export { encodingDoubt, headText, inferEncoding } from "./infer-encoding.ts";
export { type InferredField, inferFields, type SampledColumn } from "./infer-fields.ts";
export { headerFaults, inferHeader } from "./infer-header.ts";
export { inferJsonShape, type JsonShapeGuess } from "./infer-json-shape.ts";
export { inferRowElement } from "./infer-row-element.ts";
export { type JsonText, jsonText } from "./json-text.ts";
export { type PrimaryKeyCandidate, primaryKeyCandidates } from "./primary-keys.ts";
