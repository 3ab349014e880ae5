export {
  type ActionKind,
  CODES,
  type Code,
  codeFacts,
  type Retry,
  STAGES,
  type Stage,
} from "./codes.ts";
export { crashPoint } from "./crash-point.ts";
export {
  type Coordinate,
  type Layer,
  type ProposedSetting,
  StageError,
  type StageErrorOptions,
  type StageFailure,
} from "./stage-error.ts";
