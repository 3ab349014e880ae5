import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault, Scene } from "./fault.ts";
import { atInsert, killHolder, lateChange } from "./process-faults.ts";
import type { Call } from "./scripted-proxy.ts";
import { isChange, isInsert, statementOf } from "./warehouse-faults.ts";

/**
 * Negative controls: the proxies take one guard of the product away, and the harness has to find the damage. The
 * product knows nothing of them: it has no switch that makes it less careful.
 */

const ALWAYS = 1e9;
const [ZERO, NINE] = [0x30, 0x39];

/** Every insert goes on with another token than the product gave it. */
function withTokens({ stack }: Scene, tokenOf: (call: Call) => string): void {
  stack.warehouse.add({
    matches: isInsert,
    times: ALWAYS,
    act: async (call) => call.reply(await call.forward({ url: withToken(call, tokenOf(call)) })),
  });
}

function withToken({ url }: Call, token: string): URL {
  const changed = new URL(url);
  changed.searchParams.set("insert_deduplication_token", token);
  return changed;
}

/** The product's own counts of what is staged, which would see a batch that stands there twice, count it once. */
function withoutCounts({ stack }: Scene): void {
  stack.warehouse.add({
    matches: (call) =>
      / GROUP BY file|^SELECT toString\(count\(\)\) AS n FROM .*__pub_/.test(statementOf(call)),
    times: ALWAYS,
    act: async (call) => {
      const text = call.body.toString("utf8");
      const body = text.replace("toString(count())", "toString(uniqExact(_entry, _row))");
      call.reply(await call.forward({ body: Buffer.from(body) }));
    },
  });
}

const isRead = ({ key }: Scene, { method, url }: Call): boolean =>
  method === "GET" && url.pathname.endsWith(`/${key}`);

/** The store tells the first ETag for ever, whatever lies there, no checksum, and minds no condition. */
async function withOldTag(scene: Scene, isCut: boolean): Promise<() => Promise<void>> {
  const { faults } = scene.stack.aws;
  const id = await faults.add({ key: scene.key, effect: { kind: "ignore-conditions" } });
  let etag: string | undefined;
  let reads = 0;
  scene.stack.s3.add({
    matches: (call) => isRead(scene, call),
    times: ALWAYS,
    act: async (call) => {
      reads++;
      if (isCut && reads === 2) await scene.stack.customer.put(scene.key, scene.other);
      const answer = await call.forward();
      etag ??= String(answer.headers.etag);
      answer.headers = { ...withoutChecksums(answer.headers), etag };
      if (!isCut || reads > 1) call.reply(answer);
      else await call.replyPart(answer, Math.floor(answer.body.byteLength / 2), "reset");
    },
  });
  return async () => await faults.clear(id);
}

function withoutChecksums<T extends object>(headers: T): T {
  const kept = Object.entries(headers).filter(([name]) => !name.startsWith("x-amz-checksum"));
  return Object.fromEntries(kept) as T;
}

/** Shared with nothing else: one rule sees each EXCHANGE. */
function onExchange(
  { stack }: Scene,
  act: (tables: readonly [string, string], call: Call) => Promise<void>,
): () => number {
  return stack.warehouse.add({
    matches: isChange,
    act: async (call) => {
      const found = /EXCHANGE TABLES (\S+) AND (\S+)/.exec(statementOf(call));
      if (found?.[1] === undefined || found[2] === undefined) throw new Error("no EXCHANGE");
      await act([found[1], found[2]], call);
    },
  });
}

const OK = { status: 200, headers: {}, body: Buffer.alloc(0) };

export const CONTROLS: readonly Fault[] = [
  {
    id: "NC-1",
    title: "deduplication tokens are random, nobody counts, and an answer is lost",
    operations: ["append"],
    ends: "well",
    breaks: "I2",
    inject: (scene) => {
      const fired = scene.stack.warehouse.add({
        matches: isInsert,
        skip: scene.random.below(5),
        act: async (call) => {
          await call.forward();
          call.reset();
        },
      });
      withTokens(scene, () => randomUUID());
      withoutCounts(scene);
      return { fired };
    },
  },
  {
    id: "NC-2",
    title: "tokens are places without contents, the store lies, and a worker dies after a commit",
    formats: ["csv"],
    operations: ["append"],
    ends: "well",
    breaks: "I3",
    inject: async (scene) => {
      const { stack, key, other } = scene;
      // The other file differs in digits alone: what is left without them says where a batch stands, and not what is in it.
      const place = (call: Call): string => {
        const data = call.body.subarray(call.body.indexOf("\n"));
        const shape = data.map((byte) => (byte >= ZERO && byte <= NINE ? ZERO : byte));
        return createHash("sha256").update(scene.key).update(shape).digest("hex");
      };
      const death = await atInsert({
        id: "",
        title: "",
        isCommitted: true,
        skip: 0,
        urlOf: (call) => withToken(call, place(call)),
        act: async (at, id, signal) => {
          await stack.customer.put(key, other);
          await killHolder(at, id, signal);
        },
      }).inject(scene);
      withTokens(scene, place);
      const clear = await withOldTag(scene, false);
      return {
        ...death,
        lift: async () => {
          await death.lift?.();
          await clear();
        },
      };
    },
  },
  {
    id: "NC-3",
    title: "the store says that the object is as short as what comes",
    formats: ["csv"],
    ends: "well",
    breaks: "I1",
    inject: (scene) => {
      const { stack, file } = scene;
      const half = file.toString("latin1", 0, Math.floor(file.byteLength / 2));
      const bytes = half.lastIndexOf(/\n(\d+),[^\n]*$/.exec(half)?.[0] ?? "\n") + 1;
      stack.s3.add({
        matches: ({ url }) => url.searchParams.has("list-type"),
        times: ALWAYS,
        act: async (call) => {
          const answer = await call.forward();
          const text = answer.body.toString("utf8");
          answer.body = Buffer.from(text.replace(/<Size>\d+</g, `<Size>${bytes}<`));
          call.reply(answer);
        },
      });
      const fired = stack.s3.add({
        matches: (call) => isRead(scene, call),
        times: ALWAYS,
        act: async (call) => {
          const answer = await call.forward();
          answer.headers = withoutChecksums(answer.headers);
          answer.body = answer.body.subarray(0, bytes);
          call.reply(answer);
        },
      });
      return { fired };
    },
  },
  {
    id: "NC-4",
    title:
      "conditions are ignored, the ETag is a lie, and the object is overwritten between two reads",
    formats: ["csv"],
    ends: "well",
    breaks: "I3",
    inject: async (scene) => {
      const lift = await withOldTag(scene, true);
      return { fired: () => 1, lift };
    },
  },
  {
    id: "NC-5",
    title: "TRUNCATE and INSERT in the place of EXCHANGE",
    operations: ["truncate_and_load"],
    ends: "well",
    breaks: "I4",
    inject: (scene) => ({
      fired: onExchange(scene, async ([staged, rows], call) => {
        await scene.stack.clickhouse.command({ query: `TRUNCATE TABLE ${rows}` });
        await sleep(300);
        const query = `INSERT INTO ${rows} SELECT * FROM ${staged}`;
        await scene.stack.clickhouse.command({ query });
        call.reply(OK);
      }),
    }),
  },
  {
    id: "NC-6",
    title: "EXCHANGE is repeated without a look",
    operations: ["truncate_and_load"],
    ends: "well",
    breaks: "I4",
    inject: (scene) => ({
      fired: onExchange(scene, async (_, call) => {
        await call.forward();
        await sleep(300);
        call.reply(await call.forward());
      }),
    }),
  },
  {
    id: "NC-7",
    title: "rows go where readers see them before the message's integrity is known",
    formats: ["csv.pgp"],
    operations: ["append"],
    ends: "badly",
    breaks: "I6",
    inject: async (scene) => {
      const { stack, key, file } = scene;
      const changed = Buffer.from(file);
      changed[changed.byteLength - 1] = (changed.at(-1) ?? 0) ^ 1;
      await stack.customer.put(key, changed);
      const fired = stack.warehouse.add({
        matches: isInsert,
        times: ALWAYS,
        act: async (call) => {
          const end = call.body.indexOf("\n");
          const statement = call.body.subarray(0, end).toString("utf8");
          const to = statement.replace(/__stg_wf_.{20}`/, "__rows`");
          call.reply(
            await call.forward({ body: Buffer.concat([Buffer.from(to), call.body.subarray(end)]) }),
          );
        },
      });
      return { fired };
    },
  },
  {
    id: "NC-8",
    title: "attempts share one name, so that nothing fences off an EXCHANGE that arrives late",
    operations: ["truncate_and_load"],
    ends: "well",
    breaks: "I4",
    inject: (scene) => {
      const { warehouse } = scene.stack;
      const late = lateChange(scene);
      const arrived = Promise.withResolvers<void>();
      const oneName = (text: string): string =>
        text.replace(/(__pub_wf_.{20}_)\d+/g, (_, prefix) => `${prefix}1`);
      // Renaming the replaced table fences as well, and so does dropping it.
      warehouse.add({
        matches: (call) => /^RENAME TABLE .*__kept_/.test(statementOf(call)),
        times: ALWAYS,
        act: async (call) => call.reply(OK),
      });
      warehouse.add({
        matches: (call) => /^DROP TABLE IF EXISTS .*__(stg|pub)_/.test(statementOf(call)),
        times: ALWAYS,
        act: async (call) => {
          await arrived.promise;
          call.reply(await call.forward());
        },
      });
      warehouse.add({
        matches: (call) =>
          /__pub_wf_/.test(statementOf(call) + decodeURIComponent(call.url.search)),
        times: ALWAYS,
        act: async (call) => {
          const url = new URL(call.url);
          for (const [name, value] of [...url.searchParams])
            url.searchParams.set(name, oneName(value));
          const answer = await call.forward({
            url,
            body: Buffer.from(oneName(call.body.toString("utf8"))),
          });
          // Who asks for a table by its attempt's name gets it by that name.
          const asked = /__pub_wf_.{20}_(\d+)/.exec(
            statementOf(call) + decodeURIComponent(call.url.search),
          )?.[1];
          if (asked !== undefined) {
            const text = answer.body.toString("utf8");
            answer.body = Buffer.from(
              text.replace(/(__pub_wf_.{20}_)1(?!\d)/g, (_, prefix) => `${prefix}${asked}`),
            );
          }
          call.reply(answer);
        },
      });
      return {
        ...late,
        during: async (id, signal) => {
          await late.during?.(id, signal);
          arrived.resolve();
        },
        lift: async () => {
          arrived.resolve();
          await late.lift?.();
        },
      };
    },
  },
];
