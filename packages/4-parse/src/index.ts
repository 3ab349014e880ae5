export { DELIMITED_LIMITS, type DelimitedLimits } from "./csv/limits.ts";
export { parseDelimited } from "./csv/parse-delimited.ts";
