export {
  castSample,
  type Sample,
  type SampledCell,
  type SampledRow,
  type SampleOptions,
} from "./cast-sample.ts";
export {
  type ChangeOptions,
  dropCustomTable,
  hideRejects,
  purgeDomainTable,
  stageNothing,
  stageQuery,
  stageReplacedTable,
  stageWithoutRows,
  stageWithoutWorkflow,
} from "./change-table.ts";
export { fieldColumnType, type TableColumn } from "./columns.ts";
export {
  type ChangedValue,
  type ComparedField,
  compareStaging,
  type StagingComparison,
} from "./compare-staging.ts";
export type { DeleteRule } from "./delete-rule.ts";
export {
  type DomainTableShape,
  lookAtDomainTable,
  prepareDomainTable,
} from "./domain-table.ts";
export type { InsertAnswer, InsertRequest } from "./insert-request.ts";
export {
  type EntryPlace,
  type InsertStatements,
  insertStatements,
  ROW_BITS,
  type SlicePlace,
} from "./insert-statement.ts";
export {
  type Acknowledgement,
  type LoadOptions,
  type LoadTotals,
  loadBatches,
  loadSlices,
} from "./load.ts";
export { patientWarehouse } from "./patient-warehouse.ts";
export { dropPrivate, findPrivate, type PrivatePlace } from "./private-places.ts";
export {
  type PublishIntent,
  type PublishOptions,
  type PublishOutcome,
  publish,
  readPublishIntent,
  showRejects,
} from "./publish.ts";
export { checkQuery } from "./query/check-query.ts";
export { type CustomQuery, checkCustomQuery, findKeys } from "./query/custom-query.ts";
export type { QueryFault } from "./query/query-fault.ts";
export {
  dropQuery,
  prepareFileTables,
  type QueryPlace,
  queryDatabase,
  queryFields,
  toFileFeed,
} from "./query/query-files.ts";
export { type QueryTotals, type RunQueryOptions, runIngestQuery } from "./query/run-query.ts";
export { quoteIdentifier, quoteText } from "./quoting.ts";
export {
  countRows,
  describeDomainTable,
  type JsonValue,
  sampleRows,
} from "./read-domain-table.ts";
export {
  countRejects,
  exportRejects,
  listRejects,
  type Reject,
  type RejectFilter,
  type RejectSummary,
  summarizeRejects,
} from "./read-rejects.ts";
export { removeStaged, removeStagedForQuery } from "./remove-staged.ts";
export {
  publishReplayedRejects,
  type ReplayFilter,
  type ReplayTotals,
  replayRejects,
} from "./replay-rejects.ts";
export {
  type ColumnDifference,
  type ColumnPlan,
  judgeFindings,
  matchColumns,
  matchFindings,
  type PlannedField,
  resolveColumns,
} from "./resolve-columns.ts";
export { type RetryClock, type RetryPolicy, retrying } from "./retrying.ts";
export { createShadowStaging } from "./shadow-staging.ts";
export { createStaging, dropStaging } from "./staging.ts";
export { prepareStitchView } from "./stitch-view.ts";
export {
  domainTable,
  rejectsTable,
  rowsTable,
  stagingRejectsTable,
  stagingTable,
  stitchView,
  type TableAddress,
  type TableName,
} from "./table-names.ts";
export {
  countVisible,
  type DeleteEffect,
  readDeleteEffect,
  readTableBytes,
  readTableState,
  type TableState,
} from "./table-state.ts";
export {
  countStagedRejects,
  type SentObject,
  type StagedTotals,
  type VerifyOptions,
  verifyStaging,
} from "./verify-staging.ts";
export { createWarehouse, type Warehouse, type WarehouseOptions } from "./warehouse.ts";
