import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { expect, test } from "vitest";
import { idsOf, parseTraceParent, startTracing, toTraceParent } from "../src/index.ts";

/** A collector's door: keeps what is posted. */
async function startCollector() {
  // biome-ignore lint/suspicious/noExplicitAny: OTLP's JSON, as a stranger reads it
  const posts: { readonly path: string; readonly body: any }[] = [];
  const server = createServer(async (request, response) => {
    posts.push({ path: request.url ?? "", body: await json(request) });
    response.setHeader("content-type", "application/json");
    response.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    posts,
    spans: () =>
      posts.flatMap(({ body }) =>
        // biome-ignore lint/suspicious/noExplicitAny: OTLP's JSON
        body.resourceSpans.flatMap((of: any) => of.scopeSpans.flatMap((at: any) => at.spans)),
      ),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("spans go to the collector with their parents, times and errors", async () => {
  await using collector = await startCollector();
  const tracing = await startTracing({ endpoint: `${collector.url}/`, service: "test" });
  const workflow = idsOf("workflow wf_1");
  const root = tracing.begin("workflow", { kind: "internal", ids: workflow, startTime: 1_000 });
  expect(root.ids).toEqual(workflow);
  const task = tracing.begin("task", {
    kind: "internal",
    parent: parseTraceParent(toTraceParent(workflow)),
    attributes: { "sluice.task": "task_1" },
  });
  task.end({ error: "load/unavailable", attributes: { "sluice.rows": 7 } });
  root.end();
  await tracing.close();

  expect(collector.posts[0]?.path).toBe("/v1/traces");
  expect(collector.posts[0]?.body.resourceSpans[0].resource.attributes).toEqual([
    { key: "service.name", value: { stringValue: "test" } },
  ]);
  const [child, parent] = collector.spans();
  expect(parent).toMatchObject({ ...ids(workflow), startTimeUnixNano: "1000000000" });
  expect(parent.parentSpanId).toBeUndefined();
  expect(child).toMatchObject({
    name: "task",
    traceId: workflow.traceId,
    parentSpanId: workflow.spanId,
    status: { code: 2 },
  });
  expect(child.attributes).toEqual([
    { key: "sluice.task", value: { stringValue: "task_1" } },
    { key: "sluice.rows", value: { intValue: 7 } },
    { key: "error.type", value: { stringValue: "load/unavailable" } },
  ]);
});

const ids = ({ traceId, spanId }: { traceId: string; spanId: string }) => ({ traceId, spanId });

test("a collector that is away keeps nobody", async () => {
  const tracing = await startTracing({ endpoint: "http://127.0.0.1:1", service: "test" });
  tracing.begin("a", { kind: "internal" }).end();
  await tracing.close();
});

test("nothing of OpenTelemetry is loaded unless it is configured", () => {
  const index = new URL("../src/index.ts", import.meta.url);
  const script = `
    import { registerHooks } from "node:module";
    const seen = [];
    registerHooks({ load: (url, context, next) => (seen.push(url), next(url, context)) });
    const { startTracing } = await import(${JSON.stringify(index.href)});
    await startTracing({ endpoint: process.argv[1] || undefined, service: "test" });
    console.log(seen.filter((url) => url.includes("opentelemetry/")).length);`;
  const loaded = (endpoint: string): number => {
    const arguments_ = ["--input-type=module", "-e", script, endpoint];
    return Number(spawnSync(process.execPath, arguments_, { encoding: "utf8" }).stdout);
  };
  expect(loaded("http://127.0.0.1:1")).toBeGreaterThan(10);
  // prom-client asks for the API, which holds no more than interfaces.
  expect(loaded("")).toBe(loadedByPromClient());
});

function loadedByPromClient(): number {
  const script = `
    import { registerHooks } from "node:module";
    const seen = [];
    registerHooks({ load: (url, context, next) => (seen.push(url), next(url, context)) });
    await import("prom-client");
    console.log(seen.filter((url) => url.includes("opentelemetry/")).length);`;
  const options = { encoding: "utf8", cwd: new URL("..", import.meta.url) } as const;
  return Number(spawnSync(process.execPath, ["--input-type=module", "-e", script], options).stdout);
}

test.each([
  ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true],
  ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false],
  ["01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more", true],
])("%s is a place in a trace", (text, isSampled) => {
  expect(parseTraceParent(text)).toEqual({
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    isSampled,
  });
});

test.each([
  "",
  "00",
  "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "00-00000000000000000000000000000000-b7ad6b7169203331-01",
  "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
  "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n",
])("%j is none", (text) => {
  expect(parseTraceParent(text)).toBeUndefined();
});
