import type { Fault, Injected, Scene } from "./fault.ts";
import type { Answer, Call, Rule } from "./scripted-proxy.ts";

/** Everything that the customer's side does wrong: docs of S3, and of what stands between. */

const isRead = (key: string) => (call: Call) =>
  call.method === "GET" && call.url.pathname.endsWith(`/${key}`);

/** Formats that are read by several requests. */
const isRanged = ({ lane }: Scene): boolean => lane.format === "zip" || lane.format === "parquet";

/** One of the first reads. Of a file that is read in one go there is only one. */
const someRead = (scene: Scene): number => (isRanged(scene) ? scene.random.below(3) : 0);

function onRead(scene: Scene, act: Rule["act"], more: Partial<Rule> = {}): Injected {
  const fired = scene.stack.s3.add({
    matches: isRead(scene.key),
    skip: someRead(scene),
    ...more,
    act,
  });
  return { fired };
}

function s3Error(status: number, code: string): Answer {
  return {
    status,
    headers: { "content-type": "application/xml", "x-amz-request-id": "CHAOS" },
    body: Buffer.from(`<Error><Code>${code}</Code><Message>chaos</Message></Error>`),
  };
}

/** Where a body breaks: before it, after its first byte, in it, before its last byte. */
function someCut({ random }: Scene, length: number): number {
  const places = [0, 1, Math.min(64 * 1024, length - 1), Math.floor(length / 2), length - 1];
  return Math.max(0, random.pick([...places, random.below(length)]));
}

const refusals: readonly Fault[] = (
  [
    ["S3-01", 503, "SlowDown"],
    ["S3-02", 500, "InternalError"],
    ["S3-03", 429, "TooManyRequests"],
    ["S3-04", 400, "RequestTimeout"],
  ] as const
).map(([id, status, code]) => ({
  id,
  title: `${status} ${code}, up to five times`,
  ends: "well",
  inject: (scene) =>
    onRead(scene, async (call) => call.reply(s3Error(status, code)), {
      times: 1 + scene.random.below(5),
    }),
}));

const cuts: readonly Fault[] = (
  [
    ["S3-05", "reset", "connection reset in the body"],
    ["S3-06", "stall", "the body stops, the connection stays"],
    ["S3-07", "end", "a short body with a clean end"],
  ] as const
).map(([id, then, title]) => ({
  id,
  title,
  ends: "well",
  inject: (scene) =>
    onRead(scene, async (call) => {
      const answer = await call.forward();
      await call.replyPart(answer, someCut(scene, answer.body.byteLength), then);
    }),
}));

/** The answer to one read is changed. */
const tampered = (
  id: string,
  title: string,
  tamper: (answer: Answer, scene: Scene, call: Call) => void,
  more: Partial<Fault> = {},
): Fault => ({
  id,
  title,
  ends: "well",
  ...more,
  inject: (scene) =>
    onRead(scene, async (call) => {
      const answer = await call.forward();
      tamper(answer, scene, call);
      call.reply(answer);
    }),
});

/** Cuts the first read half way, so that there is a second one, and does something before that. */
function betweenReads(scene: Scene, act: () => Promise<void>, isFirst: boolean): Injected {
  const { stack, key } = scene;
  if (!isFirst) {
    stack.s3.add({
      matches: isRead(key),
      act: async (call) => {
        const answer = await call.forward();
        await call.replyPart(answer, Math.floor(answer.body.byteLength / 2), "reset");
      },
    });
  }
  const fired = stack.s3.add({
    matches: isRead(key),
    act: async (call) => {
      await act();
      call.reply(await call.forward());
    },
  });
  return { fired };
}

export const S3_FAULTS: readonly Fault[] = [
  ...refusals,
  {
    id: "S3-01x",
    title: "503 SlowDown for ever",
    ends: "badly",
    codes: ["fetch.throttled", "connect.source_unavailable"],
    inject: (scene) =>
      onRead(scene, async (call) => call.reply(s3Error(503, "SlowDown")), { skip: 0, times: 1e9 }),
  },
  {
    id: "S3-01L",
    title: "503 SlowDown to the listing",
    ends: "well",
    inject: ({ stack, random }) => ({
      fired: stack.s3.add({
        matches: ({ url }) => url.searchParams.has("list-type"),
        times: 1 + random.below(3),
        act: async (call) => call.reply(s3Error(503, "SlowDown")),
      }),
    }),
  },
  ...cuts,
  {
    id: "S3-05r",
    title: "every read is cut again and again, some bytes further",
    ends: "well",
    inject: (scene) =>
      onRead(
        scene,
        async (call) => {
          const answer = await call.forward();
          const bytes = Math.min(answer.body.byteLength, 1 + scene.random.below(30_000));
          await call.replyPart(answer, bytes, scene.random.pick(["reset", "end"]));
        },
        { skip: 0, times: 4 },
      ),
  },
  tampered("S3-08", "a body longer than the object", (answer) => {
    answer.body = Buffer.concat([answer.body, Buffer.from("9,extra,1,2020-01-01\n")]);
  }),
  tampered("S3-08g", "a body that something on the way compressed", (answer) => {
    answer.headers = { ...answer.headers, "content-encoding": "gzip" };
    answer.body = answer.body.subarray(0, Math.ceil(answer.body.byteLength / 2));
  }),
  tampered(
    "S3-08o",
    "another object's bytes, of the same length, under this one's name",
    (answer, { other, file }) => {
      if (other.byteLength !== file.byteLength) throw new Error("not of one length");
      answer.body = Buffer.from(other);
    },
    { formats: ["csv"] },
  ),
  {
    id: "S3-08s",
    title: "the same, slowly: batches of them are durable before the checksum is known",
    formats: ["csv"],
    ends: "well",
    inject: (scene) =>
      onRead(scene, async (call) => {
        const answer = await call.forward();
        answer.body = Buffer.from(scene.other);
        await call.replySlowly(answer, 12, 120);
      }),
  },
  {
    id: "S3-09h",
    title: "overwritten between HEAD and GET",
    ends: "badly",
    codes: ["fetch.object_changed"],
    inject: (scene) =>
      betweenReads(
        scene,
        async () => void (await scene.stack.customer.put(scene.key, scene.other)),
        true,
      ),
  },
  {
    id: "S3-09r",
    title: "overwritten between two reads",
    ends: "badly",
    codes: ["fetch.object_changed"],
    inject: (scene) =>
      betweenReads(
        scene,
        async () => void (await scene.stack.customer.put(scene.key, scene.other)),
        false,
      ),
  },
  tampered(
    "S3-10",
    "Range ignored: 200 and the whole object",
    (answer, { file, key }, call) => {
      if (call.headers.range === undefined) throw new Error(`${key} was read as a whole`);
      answer.status = 200;
      delete answer.headers["content-range"];
      answer.body = file;
    },
    { formats: ["zip", "parquet"] },
  ),
  tampered(
    "S3-10c",
    "a wrong Content-Range",
    (answer) => {
      answer.headers = { ...answer.headers, "content-range": "bytes 0-9/10" };
    },
    { formats: ["zip", "parquet"] },
  ),
  {
    id: "S3-11",
    title: "overwritten, and If-Match ignored",
    ends: "badly",
    codes: ["fetch.object_changed"],
    async inject(scene) {
      const { aws, customer } = scene.stack;
      const id = await aws.faults.add({ key: scene.key, effect: { kind: "ignore-conditions" } });
      const put = async (): Promise<void> => void (await customer.put(scene.key, scene.other));
      const injected = betweenReads(scene, put, scene.random.below(2) === 0);
      return { ...injected, lift: async () => await aws.faults.clear(id) };
    },
  },
  tampered(
    "S3-12",
    "a checksum that is not the object's",
    (answer) => {
      const name = Object.keys(answer.headers).find((header) =>
        /^x-amz-checksum-(?!type)/.test(header),
      );
      if (name === undefined) throw new Error("the store told no checksum");
      answer.headers = { ...answer.headers, [name]: "AAAAAA==" };
    },
    { formats: ["csv", "csv.gz", "csv.pgp", "zip.pgp"] },
  ),
  {
    id: "S3-12b",
    title: "one byte turned over on its way, slowly: batches are durable before it is known",
    ends: "either",
    formats: ["csv", "csv.gz", "csv.pgp", "zip.pgp"],
    inject: (scene) =>
      onRead(scene, async (call) => {
        const answer = await call.forward();
        const at = Math.floor(answer.body.byteLength * (0.5 + scene.random.next() / 2.1));
        answer.body = Buffer.from(answer.body);
        answer.body[at] = (answer.body[at] ?? 0) ^ 1;
        await call.replySlowly(answer, 12, 100);
      }),
  },
  {
    id: "D-01",
    title: "an OpenPGP message whose last byte was altered",
    formats: ["csv.pgp", "zip.pgp"],
    ends: "badly",
    codes: ["decrypt.integrity_failed"],
    inject: async ({ stack, key, file }) => {
      const changed = Buffer.from(file);
      changed[changed.byteLength - 1] = (changed.at(-1) ?? 0) ^ 1;
      await stack.customer.put(key, changed);
      return { fired: () => 1 };
    },
  },
  {
    id: "S3-13",
    title: "deleted between two reads",
    ends: "badly",
    codes: ["fetch.object_deleted", "list.file_not_found"],
    inject: (scene) => betweenReads(scene, async () => await scene.stack.remove(scene.key), false),
  },
  {
    id: "S3-16",
    title: "slow: the body comes in drops",
    ends: "well",
    inject: (scene) =>
      onRead(scene, async (call) => {
        await call.replySlowly(await call.forward(), 12, 60);
      }),
  },
  {
    id: "ST-02",
    title: "the session expires in the middle",
    ends: "well",
    async inject({ stack, key, random }) {
      const { faults } = stack.aws;
      const id = await faults.add({
        key,
        operation: "GetObject",
        skip: random.below(2),
        times: 1,
        effect: { kind: "expire-token" },
      });
      // A file that is read in one go is read again.
      stack.s3.add({
        matches: isRead(key),
        act: async (call) => {
          const answer = await call.forward();
          if (answer.status >= 400) call.reply(answer);
          else await call.replyPart(answer, Math.floor(answer.body.byteLength / 2), "reset");
        },
      });
      return {
        fired: async () => (await faults.counts())[id] ?? 0,
        lift: async () => await faults.clear(id),
      };
    },
  },
  {
    id: "ST-03",
    title: "access is revoked in the middle",
    ends: "badly",
    codes: ["connect.access_revoked", "connect.access_denied", "connect.invalid_credentials"],
    async inject(scene) {
      const { faults } = scene.stack.aws;
      let id = "";
      const injected = betweenReads(
        scene,
        async () => {
          id = await faults.add({
            bucket: scene.stack.customer.bucket,
            effect: { kind: "revoke-access" },
          });
        },
        false,
      );
      return { ...injected, lift: async () => await faults.clear(id) };
    },
  },
  {
    id: "NW-02",
    title: "S3 cannot be reached for a second",
    ends: "well",
    inject: (scene) => {
      const { s3 } = scene.stack;
      return {
        ...onRead(scene, async (call) => {
          s3.refusing = true;
          call.reset();
          setTimeout(() => {
            s3.refusing = false;
          }, 300 + scene.random.below(700));
        }),
        lift: async () => {
          s3.refusing = false;
        },
      };
    },
  },
];
