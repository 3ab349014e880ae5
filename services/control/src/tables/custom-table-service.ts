import type { DescMessage } from "@bufbuild/protobuf";
import { clone, create, toBinary, toJson, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type CustomDomainTable,
  CustomDomainTableSchema,
} from "@sluice/api/control/v1/custom_domain_table_pb";
import {
  CreateCustomDomainTableRequestSchema,
  type CustomDomainTableService,
  UpdateCustomDomainTableRequestSchema,
} from "@sluice/api/control/v1/custom_domain_table_service_pb";
import { type Column, ColumnSchema } from "@sluice/api/control/v1/domain_table_pb";
import type { CustomTableChange } from "@sluice/api/ingest/v1/table_change_pb";
import { CustomTableChangeSchema } from "@sluice/api/ingest/v1/table_change_pb";
import type { ControlContext } from "../context.ts";
import { stitchFeedsOf } from "../feeds/stitch-feeds.ts";
import { groupsThatRefresh } from "../groups/group-references.ts";
import { makeEtag, makeId, toNameKey } from "../resources/identity.ts";
import { toPage } from "../resources/page.ts";
import { findMade, makeOnce } from "../resources/request-id.ts";
import { assertEtag, inUse, isViolationOf, nameTaken } from "../resources/resource-errors.ts";
import { databaseNameFault, sqlNameFault } from "../resources/sql-name.ts";
import { applyMask } from "../resources/update-mask.ts";
import {
  type FieldFault,
  invalidRequest,
  toViolation,
  violationsBelow,
} from "../server/field-violations.ts";
import { ensureSource } from "../sources/source-rows.ts";
import {
  readableTables,
  readCustomTableRow,
  selectCustomTables,
  toCustomTable,
} from "./custom-table-rows.ts";

const WRITABLE = ["query", "primary_key", "column_tags", "make_available_to_stitch"];
/** Custom domain tables. Publishing is the workflow engine's. */
export type CustomTables = Omit<
  ServiceImpl<typeof CustomDomainTableService>,
  "publishCustomDomainTable"
>;

export function createCustomTableService(context: ControlContext): CustomTables {
  const { kysely, inspect } = context;
  const read = async (id: string): Promise<CustomDomainTable> =>
    toCustomTable(await readCustomTableRow(kysely, context.tenant(), id));
  const queryOf = async (query: string): Promise<CustomTableChange> =>
    create(CustomTableChangeSchema, {
      query,
      readableTables: await readableTables(kysely, context.tenant()),
    });
  /** The columns that the table's query gives; INVALID_ARGUMENT naming what of the table does not fit. */
  const lookAt = async (request: DescMessage, table: CustomDomainTable): Promise<Column[]> => {
    const query = await queryOf(table.query);
    const { problems, columns } = await inspect.call((client, options) =>
      client.checkCustomQuery({ query }, options),
    );
    const faults: FieldFault[] = problems.map(({ message, line, column }) => ({
      path: "custom_domain_table.query",
      rule: "custom.query",
      message: line === 0 ? message : `${message} (line ${line}, column ${column})`,
    }));
    const names = new Set(columns.map(({ name }) => name));
    if (faults.length === 0) {
      for (const [index, name] of table.primaryKey.entries()) {
        if (names.has(name)) continue;
        const path = `custom_domain_table.primary_key[${index}]`;
        faults.push({ path, rule: "custom.column", message: "the query gives no such column" });
      }
      for (const [index, { column }] of table.columnTags.entries()) {
        if (names.has(column)) continue;
        const path = `custom_domain_table.column_tags[${index}].column`;
        faults.push({ path, rule: "custom.column", message: "the query gives no such column" });
      }
    }
    if (faults.length > 0) throw invalidRequest(faults.map((fault) => toViolation(request, fault)));
    return columns;
  };
  return {
    createCustomDomainTable: async (request) => {
      const call = {
        method: "CreateCustomDomainTable",
        requestId: request.requestId,
        body: toBinary(CreateCustomDomainTableRequestSchema, { ...request, requestId: "" }),
      };
      const table = required(request.customDomainTable);
      const made = await findMade(context, call);
      if (made !== undefined) return { customDomainTable: await read(made) };
      assertTable(CreateCustomDomainTableRequestSchema, table);
      const columns = await lookAt(CreateCustomDomainTableRequestSchema, table);
      const tenant = context.tenant();
      const id = await makeOnce(context, call, makeId("custom"), async (trx, ownId) => {
        const sourceId = await ensureSource(trx, tenant, table.source);
        const feed = await trx
          .selectFrom("feed")
          .select("id")
          .where("tenant", "=", tenant)
          .where("source_id", "=", sourceId)
          .where("name_key", "=", toNameKey(table.name))
          .executeTakeFirst();
        if (feed !== undefined) throw nameTaken("feed", table.name);
        try {
          await trx
            .insertInto("custom_domain_table")
            .values({
              tenant,
              id: ownId,
              source_id: sourceId,
              name: table.name,
              name_key: toNameKey(table.name),
              spec: toSpec(table),
              columns: columnsToJson(columns),
              etag: makeEtag(),
            })
            .execute();
        } catch (error) {
          throw isViolationOf(error, "custom_domain_table_name_taken")
            ? nameTaken("custom domain table", table.name)
            : error;
        }
      });
      return { customDomainTable: await read(id) };
    },
    getCustomDomainTable: async ({ id }) => ({ customDomainTable: await read(id) }),
    listCustomDomainTables: async (request) => {
      const page = toPage(request, ["custom domain tables"]);
      const [source = "", name = ""] = page.after ?? [];
      const rows = await selectCustomTables(kysely, context.tenant())
        .$if(page.after !== undefined, (query) =>
          query.where((row) =>
            row.or([
              row("source.name_key", ">", source),
              row.and([
                row("source.name_key", "=", source),
                row("custom_domain_table.name_key", ">", name),
              ]),
            ]),
          ),
        )
        .orderBy("source.name_key")
        .orderBy("custom_domain_table.name_key")
        .limit(page.size + 1)
        .execute();
      const shown = page.cut(rows, (row) => [row.source_key, row.name_key]);
      return {
        customDomainTables: shown.rows.map(toCustomTable),
        nextPageToken: shown.nextPageToken,
      };
    },
    updateCustomDomainTable: async (request) => {
      const asked = required(request.customDomainTable);
      const tenant = context.tenant();
      const current = await read(asked.id);
      assertEtag("custom domain table", asked.etag, current.etag);
      const changed = clone(CustomDomainTableSchema, current);
      applyMask(CustomDomainTableSchema, changed, asked, request.updateMask?.paths ?? [], {
        request: UpdateCustomDomainTableRequestSchema,
        writable: WRITABLE,
      });
      assertTable(UpdateCustomDomainTableRequestSchema, changed);
      const columns = await lookAt(UpdateCustomDomainTableRequestSchema, changed);
      const { numUpdatedRows } = await kysely
        .updateTable("custom_domain_table")
        .set({
          spec: toSpec(changed),
          columns: columnsToJson(columns),
          etag: makeEtag(),
          update_time: new Date(),
        })
        .where("tenant", "=", tenant)
        .where("id", "=", asked.id)
        // The worker was asked in between: what was checked has to be what is written.
        .where("etag", "=", current.etag)
        .executeTakeFirst();
      if (numUpdatedRows === 0n) {
        assertEtag("custom domain table", current.etag, (await read(asked.id)).etag);
      }
      return { customDomainTable: await read(asked.id) };
    },
    validateCustomQuery: async ({ query }) => {
      const asked = await queryOf(query);
      const { problems, columns } = await inspect.call((client, options) =>
        client.checkCustomQuery({ query: asked }, options),
      );
      return { problems, columns };
    },
    findKeys: async ({ query }) => {
      const asked = await queryOf(query);
      const { problems, rows, candidates } = await inspect.call((client, options) =>
        client.findKeys({ query: asked }, options),
      );
      const [problem] = problems;
      if (problem !== undefined) {
        throw new ConnectError(`query: ${problem.message}`, Code.InvalidArgument);
      }
      return { rows, candidates };
    },
    deleteCustomDomainTable: async ({ id, etag }) => {
      const tenant = context.tenant();
      const table = await read(id);
      assertEtag("custom domain table", etag, table.etag);
      await assertNotRefreshed(context, id);
      await assertIdle(context, id);
      const { source, name } = table;
      // First out of the semantic view, then the table: a row without a table can be deleted again.
      const feeds = (await stitchFeedsOf(kysely, tenant, source)).filter(
        ({ feedId }) => feedId !== id,
      );
      await inspect.call(async (client, options) => {
        await client.prepareSemanticView({ source, feeds }, options);
        return await client.dropCustomTable({ source, name }, options);
      });
      await kysely.transaction().execute(async (trx) => {
        await trx
          .deleteFrom("load_record")
          .where("tenant", "=", tenant)
          .where("feed_id", "=", id)
          .execute();
        await trx
          .deleteFrom("custom_domain_table")
          .where("tenant", "=", tenant)
          .where("id", "=", id)
          .execute();
      });
      return {};
    },
  };
}

/** A group that refreshes it is told first, as the groups of a courier are. */
async function assertNotRefreshed({ kysely, tenant }: ControlContext, id: string): Promise<void> {
  const groups = await groupsThatRefresh(kysely, tenant(), id);
  if (groups.length === 0) return;
  throw inUse(
    "custom domain table",
    id,
    groups.map((name) => `courier group ${name}`),
  );
}

async function assertIdle({ kysely, tenant }: ControlContext, id: string): Promise<void> {
  const busy = await kysely
    .selectFrom("task")
    .select("workflow_id")
    .where("tenant", "=", tenant())
    .where("feed_id", "=", id)
    .where("state", "in", ["waiting", "running"])
    .limit(1)
    .executeTakeFirst();
  if (busy === undefined) return;
  throw new ConnectError(
    `workflow ${busy.workflow_id} is publishing it: wait for its end, or cancel it`,
    Code.FailedPrecondition,
  );
}

function columnsToJson(columns: readonly Column[]): string {
  return JSON.stringify(columns.map((column) => toJson(ColumnSchema, column)));
}

function assertTable(request: DescMessage, table: CustomDomainTable): void {
  const base = "custom_domain_table";
  const faults: FieldFault[] = [];
  const source = databaseNameFault(table.source);
  if (source !== undefined) {
    faults.push({ path: `${base}.source`, rule: "custom.source", message: source });
  }
  const name = sqlNameFault(table.name);
  if (name !== undefined) {
    faults.push({ path: `${base}.name`, rule: "custom.name", message: name });
  }
  if (table.makeAvailableToStitch && table.primaryKey.length === 0) {
    const message = "identity resolution needs to know what tells the rows apart: see FindKeys";
    faults.push({ path: `${base}.primary_key`, rule: "custom.primary_key", message });
  }
  const violations = violationsBelow(request, base, CustomDomainTableSchema, table).concat(
    faults.map((fault) => toViolation(request, fault)),
  );
  if (violations.length > 0) throw invalidRequest(violations);
}

/** Without what the row itself holds, and what publishes find. */
function toSpec({
  query,
  primaryKey,
  columnTags,
  makeAvailableToStitch,
}: CustomDomainTable): string {
  return toJsonString(
    CustomDomainTableSchema,
    create(CustomDomainTableSchema, { query, primaryKey, columnTags, makeAvailableToStitch }),
  );
}

/** Requests are validated before they come here. */
function required(table: CustomDomainTable | undefined): CustomDomainTable {
  if (table === undefined) throw new Error("a request came through without its table");
  return table;
}
