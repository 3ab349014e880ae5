import { once } from "node:events";
import { createServer, connect as openSocket, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Acknowledgement,
  createStaging,
  type LoadOptions,
  loadBatches,
  prepareDomainTable,
  resolveColumns,
  type Warehouse,
} from "../src/index.ts";
import {
  batchOf,
  feedOf,
  field,
  manifestObject,
  startTestServer,
  streamOf,
  type TestServer,
  textColumns,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

const feed = feedOf([field("id", "integer"), field("amount", "decimal"), field("note", "string")], {
  source: "loads",
});
const plan = resolveColumns(feed, textColumns(["id", "amount", "note"]));
const optionsFor = (warehouse: Warehouse): LoadOptions => ({
  warehouse,
  feed,
  workflowId: "w",
  object: manifestObject(),
  entry: "",
  rowBase: 0,
  plan,
});
const staged = async (): Promise<string[]> => {
  const rows = await server.rows<{ r: string }>(
    "SELECT concat(toString(id), ' ', ifNull(toString(amount), '-'), ' ', toString(_row)) AS r FROM loads.customers__stg_w ORDER BY _row",
  );
  return rows.map(({ r }) => r);
};

beforeEach(async () => {
  await server.admin("DROP DATABASE IF EXISTS loads SYNC");
  await prepareDomainTable(server.warehouse, feed);
  await createStaging(server.warehouse, { source: "loads", name: "customers" }, "w");
});

describe("a batch", () => {
  test("becomes typed rows with their lineage", async () => {
    const batch = await batchOf(server, [
      ["1", "1.50", "a"],
      ["2", "", null],
    ]);
    const totals = await loadBatches({
      ...optionsFor(server.warehouse),
      object: manifestObject({ ordinal: 3 }),
      entry: "x/y.csv",
    })(streamOf(batch));
    expect(totals).toEqual({ batches: 1, rows: 2, rejected: 0 });
    expect(batch.released).toBe(true);
    expect(
      await server.rows(
        "SELECT id, amount, note, toString(_updated) AS u, _file, _entry, toString(_row) AS row, _workflow FROM loads.customers__stg_w ORDER BY id SETTINGS output_format_json_quote_64bit_integers = 1",
      ),
    ).toEqual([
      {
        id: "1",
        amount: 1.5,
        note: "a",
        u: String((3n << 37n) + 1n),
        _file: "in/a.csv",
        _entry: "x/y.csv",
        row: "1",
        _workflow: "w",
      },
      {
        id: "2",
        amount: null,
        note: null,
        u: String((3n << 37n) + 2n),
        _file: "in/a.csv",
        _entry: "x/y.csv",
        row: "2",
        _workflow: "w",
      },
    ]);
  });

  test("parts its bad rows from its good ones, each with its place, value and reason", async () => {
    const batch = await batchOf(
      server,
      [
        ["1", "1", "a"],
        ["x", "y", "b"],
        [null, "1", "c"],
        ["4", "1.234", "d'\\"],
        { code: "malformed", raw: 'a"b,c' },
        ["6", "9".repeat(5000), "e"],
      ],
      { firstRow: 11 },
    );
    const totals = await loadBatches(optionsFor(server.warehouse))(streamOf(batch));
    expect(totals).toEqual({ batches: 1, rows: 6, rejected: 5 });
    expect(await staged()).toEqual(["1 1 11"]);
    const rejects = await server.rows<Record<string, string>>(
      "SELECT toString(_row) AS row, toString(_offset) AS offset, stage, code, field, value, message, record FROM loads.customers__stg_w__rejects ORDER BY _row",
    );
    expect(
      rejects.map(({ row, offset, stage, code, field }) => [row, offset, stage, code, field]),
    ).toEqual([
      ["12", "120", "cast", "bad_value", "id"],
      ["13", "130", "cast", "primary_key_null", "id"],
      ["14", "140", "cast", "out_of_range", "amount"],
      ["15", "150", "parse", "malformed", ""],
      ["16", "160", "cast", "out_of_range", "amount"],
    ]);
    expect(rejects[0]).toMatchObject({ value: "x", message: "expected a whole number of 64 bits" });
    expect(JSON.parse(rejects[2]?.record ?? "")).toEqual({
      id: "4",
      amount: "1.234",
      note: "d'\\",
    });
    expect(rejects[3]).toMatchObject({ value: 'a"b,c', message: "broken", record: 'a"b,c' });
    expect(rejects[4]?.value).toBe("9".repeat(4096));
  });

  test("that is sent again changes nothing, good rows and bad", async () => {
    const send = async (): Promise<unknown> =>
      await loadBatches(optionsFor(server.warehouse))(
        streamOf(
          await batchOf(server, [
            ["1", "1", "a"],
            ["x", "1", "b"],
          ]),
        ),
      );
    expect(await send()).toEqual({ batches: 1, rows: 2, rejected: 1 });
    expect(await send()).toEqual({ batches: 1, rows: 2, rejected: 1 });
    expect(await staged()).toEqual(["1 1 1"]);
    expect(
      await server.rows("SELECT toUInt32(count()) AS n FROM loads.customers__stg_w__rejects"),
    ).toEqual([{ n: 1 }]);
  });

  test("of the same bytes at another place is other rows", async () => {
    const rows = [["1", "1", "a"]];
    const batches = [await batchOf(server, rows), await batchOf(server, rows, { ordinal: 1 })];
    await loadBatches(optionsFor(server.warehouse))(streamOf(...batches));
    await loadBatches({ ...optionsFor(server.warehouse), entry: "other" })(
      streamOf(await batchOf(server, rows)),
    );
    expect(await staged()).toHaveLength(3);
  });

  test("keeps rows of one primary key apart until they are published", async () => {
    const rows = [
      ["1", "1", "a"],
      ["1", "2", "b"],
    ];
    await loadBatches(optionsFor(server.warehouse))(streamOf(await batchOf(server, rows)));
    await server.admin("OPTIMIZE TABLE loads.customers__stg_w");
    expect(await staged()).toHaveLength(2);
  });
});

describe("acknowledgement", () => {
  test("comes in the order of ordinals, whatever insert ends first", async () => {
    const sizes = [3000, 1, 1, 1000, 1, 1];
    const batches = [];
    let firstRow = 1;
    for (const [ordinal, size] of sizes.entries()) {
      const rows = Array.from({ length: size }, (_, at) => [String(firstRow + at), "1", "n"]);
      batches.push(await batchOf(server, rows, { ordinal, firstRow }));
      firstRow += size;
    }
    const seen: Acknowledgement[] = [];
    const totals = await loadBatches({
      ...optionsFor(server.warehouse),
      concurrency: 4,
      onAcknowledged: (acknowledged) => void seen.push(acknowledged),
    })(streamOf(...batches));
    expect(seen.map(({ ordinal, rows }) => [ordinal, rows])).toEqual([...sizes.entries()]);
    expect(totals.rows).toBe(firstRow - 1);
    expect(await staged()).toHaveLength(firstRow - 1);
  });

  test("passes over batches of an earlier run, and releases them", async () => {
    const batches = [
      await batchOf(server, [["1", "1", "a"]]),
      await batchOf(server, [["2", "1", "a"]], { ordinal: 1, firstRow: 2 }),
    ];
    const totals = await loadBatches({ ...optionsFor(server.warehouse), resumeAt: { ordinal: 1 } })(
      streamOf(...batches),
    );
    expect(totals).toEqual({ batches: 1, rows: 1, rejected: 0 });
    expect(batches.map(({ released }) => released)).toEqual([true, true]);
    expect(await staged()).toEqual(["2 1 2"]);
  });

  test("that fails stops the load, closes the source and releases every batch", async () => {
    const batches = await Promise.all(
      [0, 1, 2, 3].map(
        async (ordinal) => await batchOf(server, [[String(ordinal), "1", "a"]], { ordinal }),
      ),
    );
    let closed = false;
    async function* source(): AsyncGenerator<(typeof batches)[number]> {
      try {
        yield* batches;
      } finally {
        closed = true;
      }
    }
    const broken = new Error("the checkpoint is gone");
    const load = loadBatches({
      ...optionsFor(server.warehouse),
      concurrency: 1,
      onAcknowledged: () => Promise.reject(broken),
    });
    await expect(load(source())).rejects.toBe(broken);
    expect(closed).toBe(true);
    expect(batches[0]?.released).toBe(true);
  });

  test("stops with the signal's reason when the load is cancelled", async () => {
    const cancel = new AbortController();
    const load = loadBatches({
      ...optionsFor(server.warehouse),
      signal: cancel.signal,
      onAcknowledged: () => cancel.abort(new Error("cancelled")),
    });
    const batches = [
      await batchOf(server, [["1", "1", "a"]]),
      await batchOf(server, [["2", "1", "a"]], { ordinal: 1 }),
    ];
    await expect(load(streamOf(...batches))).rejects.toThrow("cancelled");
    expect(batches[0]?.released).toBe(true);
  });
});

/** A TCP proxy in front of the server that can lose answers or cut requests. */
async function startProxy(
  port: number,
  meddle: (client: Socket, upstream: Socket) => void,
): Promise<{ readonly server: Server; readonly url: string }> {
  const proxy = createServer((client) => {
    const upstream = openSocket(port, "127.0.0.1");
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
    meddle(client, upstream);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const address = proxy.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { server: proxy, url: `http://127.0.0.1:${address.port}` };
}

describe("a fault on the way", () => {
  test("that loses the answer after the commit is resolved by sending the same again", async () => {
    let lost = 0;
    const proxy = await startProxy(server.server.httpPort, (client, upstream) => {
      client.pipe(upstream);
      upstream.once("data", (answer: Buffer) => {
        if (lost++ < 2) {
          client.destroy();
          return;
        }
        client.write(answer);
        upstream.pipe(client);
      });
    });
    try {
      const warehouse = server.connect({ url: proxy.url, retryFirstPauseMs: 1 });
      const batch = await batchOf(server, [
        ["1", "1", "a"],
        ["x", "1", "b"],
      ]);
      const totals = await loadBatches(optionsFor(warehouse))(streamOf(batch));
      expect(lost).toBeGreaterThan(2);
      expect(totals).toEqual({ batches: 1, rows: 2, rejected: 1 });
      expect(await staged()).toEqual(["1 1 1"]);
    } finally {
      proxy.server.close();
    }
  });

  test("that cuts the body leaves no row, and the whole body lands once", async () => {
    let connections = 0;
    const proxy = await startProxy(server.server.httpPort, (client, upstream) => {
      upstream.pipe(client);
      if (connections++ > 1) {
        client.pipe(upstream);
        return;
      }
      let seen = 0;
      client.on("data", (chunk: Buffer) => {
        seen += chunk.byteLength;
        upstream.write(chunk);
        if (seen > 20_000) upstream.end(() => client.destroy());
      });
    });
    try {
      const warehouse = server.connect({ url: proxy.url, retryFirstPauseMs: 1 });
      const rows = Array.from({ length: 2000 }, (_, at) => [
        String(at),
        "1",
        "some text of a note",
      ]);
      const totals = await loadBatches(optionsFor(warehouse))(
        streamOf(await batchOf(server, rows)),
      );
      expect(connections).toBeGreaterThan(2);
      expect(totals).toEqual({ batches: 1, rows: 2000, rejected: 0 });
      expect(await staged()).toHaveLength(2000);
    } finally {
      proxy.server.close();
    }
  });

  test("that answers 200 with an exception, or without a summary, is a failure", async () => {
    for (const header of ["X-ClickHouse-Exception-Code: 117\r\n", ""]) {
      const proxy = await startProxy(server.server.httpPort, (client) => {
        client.once("data", () => {
          client.end(`HTTP/1.1 200 OK\r\n${header}Content-Length: 0\r\nConnection: close\r\n\r\n`);
        });
      });
      try {
        const warehouse = server.connect({ url: proxy.url, retryBudgetMs: 0 });
        const load = loadBatches(optionsFor(warehouse))(
          streamOf(await batchOf(server, [["1", "1", "a"]])),
        );
        await expect(load).rejects.toMatchObject({
          stage: "load",
          code: header === "" ? "unavailable" : "rejected",
          coordinate: { key: "in/a.csv", row: 1 },
        });
      } finally {
        proxy.server.close();
      }
    }
  });

  test("that outlasts the budget is unavailable, and names the place", async () => {
    const warehouse = server.connect({
      url: "http://127.0.0.1:1",
      retryBudgetMs: 20,
      retryFirstPauseMs: 1,
    });
    const batch = await batchOf(server, [["1", "1", "a"]], { firstRow: 7 });
    await expect(loadBatches(optionsFor(warehouse))(streamOf(batch))).rejects.toMatchObject({
      stage: "load",
      code: "unavailable",
      retry: "automatic",
      coordinate: { key: "in/a.csv", row: 7 },
    });
    expect(batch.released).toBe(true);
  });

  test("such as a wrong password, a dropped table or a stranger's column is not tried again", async () => {
    const load = async (warehouse: Warehouse): Promise<unknown> =>
      await loadBatches(optionsFor(warehouse))(
        streamOf(await batchOf(server, [["1", "1", "secret-cell"]])),
      ).catch((error: unknown) => error);
    expect(await load(server.connect({ password: "wrong" }))).toMatchObject({
      code: "access_denied",
    });
    await server.admin("ALTER TABLE loads.customers__stg_w DROP COLUMN note");
    const changed = await load(server.warehouse);
    expect(changed).toMatchObject({ code: "table_changed" });
    expect(String(changed)).not.toContain("secret-cell");
    await server.admin("DROP TABLE loads.customers__stg_w SYNC");
    expect(await load(server.warehouse)).toMatchObject({ code: "table_changed" });
  });

  test("such as too many parts is waited for", async () => {
    await server.admin(
      "ALTER TABLE loads.customers__stg_w MODIFY SETTING parts_to_throw_insert = 1",
    );
    await loadBatches(optionsFor(server.warehouse))(
      streamOf(await batchOf(server, [["1", "1", "a"]])),
    );
    const impatient = server.connect({ retryBudgetMs: 0 });
    const next = async () => await batchOf(server, [["2", "1", "a"]], { ordinal: 1 });
    await expect(loadBatches(optionsFor(impatient))(streamOf(await next()))).rejects.toMatchObject({
      code: "too_many_parts",
      retry: "automatic",
    });
    await server.admin(
      "ALTER TABLE loads.customers__stg_w MODIFY SETTING parts_to_throw_insert = 100",
    );
    await loadBatches(optionsFor(server.warehouse))(streamOf(await next()));
    expect(await staged()).toHaveLength(2);
  });

  test("that kills the server in the middle of a load is outlived, row for row", {
    timeout: 60_000,
  }, async () => {
    const total = 40;
    let crashed: Promise<void> | undefined;
    async function* source() {
      for (let ordinal = 0; ordinal < total; ordinal++) {
        const rows = Array.from({ length: 50 }, (_, at) => [
          String(ordinal * 50 + at),
          at === 0 ? "bad" : "1",
          "n",
        ]);
        yield bodies[ordinal] ??
          (await batchOf(server, rows, { ordinal, firstRow: ordinal * 50 + 1 }));
      }
    }
    const bodies: Awaited<ReturnType<typeof batchOf>>[] = [];
    for await (const batch of source()) bodies.push(batch);
    const seen: number[] = [];
    const totals = await loadBatches({
      ...optionsFor(server.warehouse),
      concurrency: 3,
      onAcknowledged: ({ ordinal }) => {
        seen.push(ordinal);
        if (ordinal === 10) crashed = server.crash().then(async () => await server.restart());
      },
    })(source());
    await crashed;
    expect(totals).toEqual({ batches: total, rows: total * 50, rejected: total });
    expect(seen).toEqual([...Array(total).keys()]);
    expect(await staged()).toHaveLength(total * 49);
    expect(
      await server.rows(
        "SELECT toUInt32(count()) AS n, toUInt32(uniqExact(_row)) AS u FROM loads.customers__stg_w__rejects",
      ),
    ).toEqual([{ n: total, u: total }]);
  });
});
