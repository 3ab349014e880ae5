// The whole procedure of pulling data from Amazon S3, step by step, by a client that was made of the .proto files alone:
//   npm start
//   node test/procedure/main.mjs http://127.0.0.1:8080 proto .sluice/admin.key
// It wants the example customer that `npm start` makes, and says what each step saw.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "./client.mjs";

const [, , url = "http://127.0.0.1:8080", folder = "proto", keyFile = ".sluice/admin.key"] =
  process.argv;
const V1 = "sluice/control/v1";
const files = readdirSync(`${folder}/${V1}`)
  .filter((name) => name.endsWith("_service.proto"))
  .map((name) => `${V1}/${name}`);
const api = connect(url, folder, files, readFileSync(keyFile, "utf8").trim());
const stamp = Date.now().toString(36);

let steps = 0;
/** Says what a step is, and what came of it. */
async function step(title, act) {
  const seen = await act();
  steps += 1;
  console.log(`${String(steps).padStart(2)}. ${title}: ${seen}`);
}

/** Runs a courier for a day, and gives the workflow as it ended. */
async function run(courierId, date) {
  const { workflowId } = await api.CourierService.runCourier({ id: courierId, date });
  for await (const _ of api.WorkflowService.watchWorkflow({ id: workflowId }));
  return (await api.WorkflowService.getWorkflow({ id: workflowId })).workflow;
}

const DAY = "2026-11-20";
let credentialId;
let feedId;
let courierId;
let failed;

await step("get details: who we are to the customer", async () => {
  const identity = await api.CredentialService.getPlatformIdentity({});
  assert.match(identity.platformRoleArn, /^arn:aws:iam::\d{12}:role\//);
  assert.match(identity.externalId, /^[A-Za-z0-9+=,.@:/-]{2,1224}$/);
  const { policyJson } = await api.CredentialService.getTrustPolicy({});
  const [statement] = JSON.parse(policyJson).Statement;
  assert.equal(statement.Principal.AWS, identity.platformRoleArn);
  assert.equal(statement.Condition.StringEquals["sts:ExternalId"], identity.externalId);
  return identity.platformRoleArn;
});

await step("choose the plugin and the type of credential", async () => {
  const { plugins } = await api.SourceService.listPlugins({ search: "ama" });
  const [plugin] = plugins;
  assert.equal(plugin.id, "amazon-s3");
  assert.ok(plugin.credentialKinds.includes("iam_role_to_role"));
  return plugin.name;
});

await step("a role and a bucket are required, and named when they are missing", async () => {
  const empty = { name: `Empty ${stamp}`, iamRoleToRole: {} };
  await assert.rejects(api.CredentialService.createCredential({ credential: empty }), (error) => {
    assert.match(error.details, /target_role_arn/);
    assert.match(error.details, /bucket/);
    return true;
  });
  return "refused";
});

await step("configure the cross-account role", async () => {
  const { credential } = await api.CredentialService.createCredential({
    credential: {
      name: `Procedure ${stamp}`,
      description: "made by the procedure",
      iamRoleToRole: {
        targetRoleArn: "arn:aws:iam::111122223333:role/sluice-reader",
        bucket: "example-customer",
      },
    },
  });
  credentialId = credential.id;
  assert.notEqual(credential.iamRoleToRole.externalId, "");
  assert.equal(credential.plugin, "amazon-s3");
  assert.equal(credential.description, "made by the procedure");
  const { credentials } = await api.CredentialService.listCredentials({ plugin: "amazon-s3" });
  assert.ok(credentials.some(({ id }) => id === credentialId));
  return credential.name;
});

await step("continue: test the connection", async () => {
  const { status } = await api.CredentialService.testCredential({ id: credentialId });
  assert.equal(status.summary, "Connection successful");
  return status.summary;
});

await step("browse the bucket, and select a file", async () => {
  const { prefixes } = await api.SourceService.browseObjects({ credentialId, delimiter: "/" });
  assert.ok(prefixes.includes("customers/"));
  const { objects } = await api.SourceService.browseObjects({ credentialId, prefix: "customers/" });
  const [object] = objects;
  assert.equal(object.key, `customers/${DAY}.csv`);
  return object.key;
});

await step("show the file as a table and in a raw format", async () => {
  const key = `customers/${DAY}.csv`;
  const settings = { delimited: {} };
  const ask = async (view) => {
    const request = { credentialId, key, settings, view };
    return (await api.SourceService.previewObject(request)).preview;
  };
  const { table } = await ask("PREVIEW_VIEW_TABLE");
  assert.deepEqual(
    table.columns.map(({ name }) => name),
    ["id", "name", "email", "since", "points"],
  );
  assert.equal(table.rows[0].cells[1].value, "Ada Lovelace");
  const { raw } = await ask("PREVIEW_VIEW_RAW");
  assert.match(raw.text, /^id,name,email,since,points\n/);
  return `${table.rows.length} rows, ${raw.byteCount} bytes`;
});

await step(
  "review what was inferred: delimiter, compression, escape, quote, header row",
  async () => {
    const key = `customers/${DAY}.csv`;
    const { inferred } = await api.SourceService.inferFileSettings({ credentialId, key });
    assert.equal(inferred.settings.format, "delimited");
    const paths = inferred.guesses.map(({ fieldPath }) => fieldPath);
    for (const path of ["compression", "delimited.delimiter", "delimited.header_rows"]) {
      assert.ok(paths.includes(path), `${path} is not among ${paths}`);
    }
    const chosen = { delimited: { delimiter: ";" } };
    const mine = await api.SourceService.inferFileSettings({ credentialId, key, settings: chosen });
    assert.equal(mine.inferred.settings.delimited.delimiter, ";");
    return inferred.fields
      .map(({ incomingName, type }) => `${incomingName} ${type.type}`)
      .join(", ");
  },
);

await step("define the feed: names, types, tags, primary key, last updated", async () => {
  const { feed } = await api.FeedService.createFeed({
    feed: {
      source: "procedure",
      name: `customers_${stamp}`,
      spec: {
        fields: [
          { incomingName: "id", type: { integer: {} }, require: true, semanticTags: ["pk"] },
          { incomingName: "name", type: { string: {} }, semanticTags: ["full-name"] },
          { incomingName: "email", type: { string: {} }, semanticTags: ["email"] },
          { incomingName: "since", type: { date: {} } },
          { incomingName: "points", type: { integer: {} } },
        ],
        primaryKey: ["id"],
        generateLastUpdated: true,
      },
    },
  });
  feedId = feed.id;
  assert.equal(feed.state, "STATE_DRAFT");
  return `${feed.source}.${feed.name} is a draft`;
});

await step("activate the feed", async () => {
  const { feed } = await api.FeedService.activateFeed({ id: feedId });
  assert.equal(feed.state, "STATE_ACTIVE");
  return `version ${feed.version}`;
});

await step("add the courier: a filename pattern, and the load type", async () => {
  const { courier } = await api.CourierService.createCourier({
    courier: {
      name: `Procedure ${stamp}`,
      credentialId,
      files: [
        { tag: "file", pattern: "'customers/'yyyy-MM-dd'.csv'", settings: { delimited: {} } },
      ],
      loads: [{ feedId, fileTag: "file", operation: "LOAD_OPERATION_LOAD" }],
    },
  });
  courierId = courier.id;
  assert.equal(courier.connectionStatus.summary, "Connection successful");
  return courier.connectionStatus.summary;
});

await step("find the courier by its feed, and run it for a day", async () => {
  const { couriers } = await api.CourierService.listCouriers({ feedId });
  assert.deepEqual(
    couriers.map(({ id }) => id),
    [courierId],
  );
  const workflow = await run(courierId, DAY);
  assert.equal(workflow.state, "STATE_SUCCEEDED", workflow.failure?.message);
  return `${workflow.totals.rows} rows`;
});

await step("inspect the domain table", async () => {
  const { domainTable } = await api.DomainTableService.getDomainTable({ feedId });
  assert.equal(domainTable.rows, "3");
  const { rows } = await api.DomainTableService.sampleRows({ feedId });
  assert.equal(rows.length, 3);
  return `${domainTable.database}.${domainTable.table} has ${domainTable.rows} rows`;
});

await step("make the data available to identity resolution, after activation", async () => {
  await api.FeedService.updateFeed({
    feed: { id: feedId, spec: { makeAvailableToStitch: true } },
    updateMask: { paths: ["spec.make_available_to_stitch"] },
  });
  const { feed } = await api.FeedService.activateFeed({ id: feedId });
  assert.equal(feed.spec.makeAvailableToStitch, true);
  return `version ${feed.version}`;
});

await step("a run that fails: the bucket's name is wrong", async () => {
  await api.CredentialService.updateCredential({
    credential: { id: credentialId, iamRoleToRole: { bucket: "example-custmer" } },
    updateMask: { paths: ["iam_role_to_role.bucket"] },
  });
  failed = await run(courierId, DAY);
  assert.equal(failed.state, "STATE_FAILED");
  assert.equal(failed.failure.action, "ACTION_KIND_INVALID_BUCKET_NAME");
  return failed.failure.message;
});

await step("a notification tells of it, and names the workflow", async () => {
  const { notifications } = await api.NotificationService.listNotifications({});
  const ours = notifications.find(({ workflowId }) => workflowId === failed.id);
  assert.equal(ours?.kind, "KIND_WORKFLOW_FAILED");
  assert.equal(ours.courierId, courierId);
  return ours.message;
});

let action;
await step("show resolutions: the actions of the workflow, each with its steps", async () => {
  const { actions } = await api.WorkflowService.listActions({ workflowId: failed.id });
  action = actions.find(({ state }) => state === "STATE_OPEN");
  assert.equal(action.kind, "ACTION_KIND_INVALID_BUCKET_NAME");
  assert.ok(action.steps.length > 0);
  const offered = action.resolutions.map(({ id }) => id);
  for (const id of ["retry_task", "restart_workflow", "update_credential"]) {
    assert.ok(offered.includes(id), `${id} is not among ${offered}`);
  }
  return offered.join(", ");
});

await step(
  "correct the bucket's name, and resolve the action: the same workflow goes on",
  async () => {
    const { workflowId } = await api.WorkflowService.resolveAction({
      id: action.id,
      resolutionId: "update_credential",
      etag: action.etag,
      requestId: `resolve ${stamp}`,
      credential: {
        credential: { id: credentialId, iamRoleToRole: { bucket: "example-customer" } },
        updateMask: { paths: ["iam_role_to_role.bucket"] },
      },
    });
    assert.equal(workflowId, failed.id);
    for await (const _ of api.WorkflowService.watchWorkflow({ id: workflowId }));
    const { workflow } = await api.WorkflowService.getWorkflow({ id: workflowId });
    assert.equal(workflow.state, "STATE_SUCCEEDED", workflow.failure?.message);
    return `${workflow.totals.rows} rows`;
  },
);

await step("add the courier to a group that runs on a schedule", async () => {
  const { courierGroup } = await api.CourierGroupService.createCourierGroup({
    courierGroup: {
      name: `Procedure ${stamp}`,
      schedule: { cron: "0 6 * * *", timeZone: "Europe/Berlin", active: true },
      members: [{ courierId }],
    },
  });
  assert.ok(courierGroup.nextFireTime);
  return `fires next at ${new Date(courierGroup.nextFireTime.seconds * 1000).toISOString()}`;
});

await step("build a table of one's own by SQL over the domain table", async () => {
  const { customDomainTable } = await api.CustomDomainTableService.createCustomDomainTable({
    customDomainTable: {
      source: "procedure",
      name: `best_${stamp}`,
      query: `SELECT id, name, points FROM procedure.customers_${stamp} WHERE points > 100`,
      primaryKey: ["id"],
    },
  });
  const { id } = customDomainTable;
  const { workflowId } = await api.CustomDomainTableService.publishCustomDomainTable({ id });
  for await (const _ of api.WorkflowService.watchWorkflow({ id: workflowId }));
  const { workflow } = await api.WorkflowService.getWorkflow({ id: workflowId });
  assert.equal(workflow.state, "STATE_SUCCEEDED", workflow.failure?.message);
  return `published by ${workflowId}`;
});

api.close();
console.log(`${steps} steps, all as they should be`);
