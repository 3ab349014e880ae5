import { setTimeout as sleep } from "node:timers/promises";
import type { Fault, Injected, Scene } from "./fault.ts";
import type { Call, Rule } from "./scripted-proxy.ts";

/** Everything that ClickHouse, and what stands before it, does wrong. */

export const statementOf = (call: Call): string =>
  `${call.url.searchParams.get("query") ?? ""}${call.body.subarray(0, 20_000).toString("latin1")}`;

/** A batch on its way into staging. */
export const isInsert = (call: Call): boolean =>
  call.url.searchParams.has("insert_deduplication_token") &&
  /^INSERT INTO `chaos`\.`lane_\d+__stg_[\w-]+` /.test(statementOf(call));

/** The statement that makes rows visible. */
export const isChange = (call: Call): boolean =>
  /^EXCHANGE TABLES |MOVE PARTITION tuple\(\) TO TABLE `chaos`\.`lane_\d+__rows`/.test(
    statementOf(call),
  );
const isClaim = (call: Call): boolean => /^RENAME TABLE .* TO .*__pub_/.test(statementOf(call));
const isStatement = (call: Call): boolean => !isInsert(call) && call.method === "POST";

/** A file has at least five batches. */
const someBatch = ({ random }: Scene): number => random.below(5);

function on(
  scene: Scene,
  matches: Rule["matches"],
  act: Rule["act"],
  more: Partial<Rule> = {},
): Injected {
  return { fired: scene.stack.warehouse.add({ matches, act, ...more }) };
}

const onInsert = (scene: Scene, act: Rule["act"], more: Partial<Rule> = {}): Injected =>
  on(scene, isInsert, act, { skip: someBatch(scene), ...more });

function exception(call: Call, code: number, status = 500): void {
  call.reply({
    status,
    headers: { "x-clickhouse-exception-code": String(code) },
    body: Buffer.from(`Code: ${code}. DB::Exception: chaos. (CHAOS)\n`),
  });
}

const lost = async (call: Call): Promise<void> => {
  await call.forward();
  call.reset();
};
/** The client's own clock ends the wait. */
const late = async (call: Call): Promise<void> => {
  const answer = await call.forward();
  await call.replyPart(answer, 0, "stall");
};

const passing: readonly Fault[] = ([241, 243, 252, 159, 242, 999, 394] as const).map((code) => ({
  id: `CH-05/${code}`,
  title: `exception ${code}, up to three times`,
  ends: "well",
  inject: (scene) =>
    onInsert(scene, async (call) => exception(call, code), { times: 1 + scene.random.below(3) }),
}));

const final: readonly Fault[] = (
  [
    [497, "load.access_denied"],
    [516, "load.access_denied"],
    [60, "load.table_changed"],
    [16, "load.table_changed"],
  ] as const
).map(([code, expected]) => ({
  id: `CH-06/${code}`,
  title: `exception ${code}`,
  ends: "badly",
  codes: [expected],
  inject: (scene) => onInsert(scene, async (call) => exception(call, code)),
}));

/** The server ends while it does something. */
function endServer(scene: Scene, how: "SIGKILL" | "SIGTERM", act: (call: Call) => Promise<void>) {
  return async (call: Call): Promise<void> => {
    const { server } = scene.stack;
    const acting = act(call).catch(() => undefined);
    await sleep(scene.random.below(25));
    if (how === "SIGKILL") server.kill();
    else void server.stop();
    await server.exited;
    await acting;
    call.reset();
  };
}

const restarts: readonly Fault[] = (["SIGTERM", "SIGKILL"] as const).flatMap((how) => [
  {
    id: `CH-01/${how}`,
    title: `ClickHouse ends in an insert (${how})`,
    ends: "well",
    inject: (scene: Scene) =>
      onInsert(
        scene,
        endServer(scene, how, async (call) => void (await call.forward())),
      ),
  },
  {
    id: `CH-10/${how}`,
    title: `ClickHouse ends while rows become visible (${how})`,
    ends: "well",
    inject: (scene: Scene) =>
      on(
        scene,
        isChange,
        endServer(scene, how, async (call) => void (await call.forward())),
      ),
  },
]);

export const WAREHOUSE_FAULTS: readonly Fault[] = [
  ...restarts,
  {
    id: "CH-02",
    title: "the answer to an insert is lost after the commit",
    ends: "well",
    inject: (scene) => onInsert(scene, lost, { times: 1 + scene.random.below(3) }),
  },
  {
    id: "CH-03",
    title: "the body of an insert is cut",
    ends: "well",
    inject: (scene) =>
      onInsert(scene, async (call) => {
        await call.forwardPart(scene.random.below(call.body.byteLength));
        call.reset();
      }),
  },
  {
    id: "CH-03s",
    title: "the body of an insert is cut short, and its length with it",
    ends: "well",
    inject: (scene) =>
      onInsert(scene, async (call) => {
        const start = call.body.indexOf("\n") + 1;
        const bytes = start + scene.random.below(call.body.byteLength - start);
        call.reply(await call.forward({ body: call.body.subarray(0, bytes) }));
      }),
  },
  {
    id: "CH-04",
    title: "200, with the header of an exception",
    ends: "well",
    inject: (scene) => onInsert(scene, async (call) => exception(call, 241, 200)),
  },
  {
    id: "CH-04c",
    title: "200, with the header of an exception, after the commit",
    ends: "well",
    inject: (scene) =>
      onInsert(scene, async (call) => {
        await call.forward();
        exception(call, 159, 200);
      }),
  },
  ...passing,
  {
    id: "CH-05x",
    title: "out of memory for ever",
    ends: "badly",
    codes: ["load.out_of_memory"],
    inject: (scene) => onInsert(scene, async (call) => exception(call, 241), { times: 1e9 }),
  },
  ...final,
  {
    id: "CH-07",
    title: "an insert that commits after the client's patience",
    ends: "well",
    inject: (scene) => onInsert(scene, late),
  },
  {
    id: "CH-08",
    title: "a connection that is cut before the request arrives",
    ends: "well",
    inject: (scene) =>
      onInsert(scene, async (call) => call.reset(), { times: 1 + scene.random.below(3) }),
  },
  {
    id: "CH-09",
    title: "somebody else exchanges the table before rows become visible",
    ends: "badly",
    codes: ["publish.conflict"],
    inject: (scene) => {
      const { stack, lane } = scene;
      const alien = `${lane.table}_alien`;
      const command = async (query: string): Promise<void> =>
        void (await stack.clickhouse.command({ query }));
      const exchange = `EXCHANGE TABLES ${alien} AND ${lane.table}__rows`;
      const injected = on(scene, isClaim, async (call) => {
        await command(`CREATE TABLE ${alien} AS ${lane.table}__rows`);
        await command(`INSERT INTO ${alien} SELECT * FROM ${lane.table}__rows`);
        await command(exchange);
        call.reply(await call.forward());
      });
      return {
        ...injected,
        lift: async () => {
          if (injected.fired() === 0) return;
          await command(exchange);
          await command(`DROP TABLE ${alien}`);
        },
      };
    },
  },
  {
    id: "CH-10",
    title: "the answer to EXCHANGE or MOVE is lost",
    ends: "well",
    inject: (scene) => on(scene, isChange, lost, { times: 1 + scene.random.below(3) }),
  },
  {
    id: "CH-10b",
    title: "EXCHANGE or MOVE does not arrive",
    ends: "well",
    inject: (scene) => on(scene, isChange, async (call) => call.reset()),
  },
  {
    id: "CH-10r",
    title: "the answer to the RENAME that claims the table is lost",
    ends: "well",
    inject: (scene) => on(scene, isClaim, lost),
  },
  {
    id: "CH-12",
    title: "the answer to some statement is lost",
    ends: "well",
    inject: (scene) => on(scene, isStatement, lost, { skip: scene.random.below(28) }),
  },
  {
    id: "CH-12b",
    title: "some statement does not arrive",
    ends: "well",
    inject: (scene) =>
      on(scene, isStatement, async (call) => call.reset(), { skip: scene.random.below(28) }),
  },
  {
    id: "NW-03",
    title: "ClickHouse cannot be reached for two seconds",
    ends: "well",
    inject: (scene) => {
      const { warehouse } = scene.stack;
      return {
        ...onInsert(scene, async (call) => {
          warehouse.refusing = true;
          call.reset();
          setTimeout(() => {
            warehouse.refusing = false;
          }, 500 + scene.random.below(1_500));
        }),
        lift: async () => {
          warehouse.refusing = false;
        },
      };
    },
  },
];
