import { allRowsOf } from "./bucket-model.ts";
import type { ClickHouseModel, ModelRow } from "./clickhouse-model.ts";
import type { ControlModel, ModelWorkflow } from "./control-model.ts";
import { SOURCE } from "./feeds.ts";

/** What readers may see, and what there must be in the end. */
export interface Readers {
  look(model: ClickHouseModel, isTorn: boolean): void;
  wrongAtEnd(model: ClickHouseModel): string[];
}

/**
 * Readers of all domain tables, who look after each change: they see what was there, and then what one publish made of
 * it, once. After a server was killed in a MOVE they may see some of its rows, until it is repeated.
 */
export function createReaders(
  feeds: readonly string[],
  control: ControlModel,
  violations: string[],
  say: (line: string) => void,
): Readers {
  const seen = new Map(
    feeds.map((feed) => [
      feed,
      {
        rows: [] as readonly ModelRow[],
        words: "",
        published: [] as string[],
        torn: undefined as string | undefined,
      },
    ]),
  );
  const rowsOfWorkflow = (workflow: ModelWorkflow, feed: string): ModelRow[] =>
    control.tasks.flatMap(({ workflow: of, feed: into, object, ordinal, condition }) =>
      of === workflow &&
      into === feed &&
      condition.kind === "load" &&
      object !== undefined &&
      ordinal !== undefined
        ? allRowsOf(object, ordinal).filter(({ isGood }) => isGood)
        : [],
    );
  const after = (
    before: readonly ModelRow[],
    workflow: ModelWorkflow,
    feed: string,
  ): readonly ModelRow[] => {
    const own = rowsOfWorkflow(workflow, feed);
    return workflow.operation === "load" ? [...before, ...own] : own;
  };

  return {
    look(model, isTorn) {
      for (const [feed, state] of seen) {
        const held = model.rowsOf(SOURCE, `${feed}__rows`) ?? [];
        const words = sorted(held);
        if (words === state.words) continue;
        const publishing = control.tasks
          .filter(
            ({ condition, feed: into, intent, workflow }) =>
              condition.kind === "publish" &&
              into === feed &&
              intent !== undefined &&
              !state.published.includes(workflow.id),
          )
          .map(({ workflow }) => workflow);
        const became = publishing.find(
          (workflow) => sorted(after(state.rows, workflow, feed)) === words,
        );
        if (became !== undefined) {
          say(`${feed} is as ${became.id} makes it`);
          state.rows = after(state.rows, became, feed);
          state.published.push(became.id);
          state.words = words;
          state.torn = undefined;
          continue;
        }
        const half = publishing.find((workflow) => {
          const all = new Set(after(state.rows, workflow, feed).map(({ id }) => id));
          return held.every(({ id }) => all.has(id));
        });
        if ((isTorn || state.torn !== undefined) && half?.operation === "load") {
          state.torn = half.id;
          continue;
        }
        violations.push(
          `readers of ${feed} see ${words || "nothing"} after ${state.words || "nothing"}`,
        );
        state.words = words;
      }
    },
    wrongAtEnd(model) {
      const wrong: string[] = [];
      for (const [feed, { rows, published }] of seen) {
        const held = model.rowsOf(SOURCE, `${feed}__rows`) ?? [];
        if (sorted(held) !== sorted(rows))
          wrong.push(`${feed} holds ${sorted(held)} instead of ${sorted(rows)}`);
        for (const workflow of control.workflows) {
          const { id, condition, objects } = workflow;
          const own = control.tasks.find(
            (task) =>
              task.workflow === workflow && task.feed === feed && task.condition.kind === "publish",
          );
          const isPublished = published.includes(id);
          const makesDifference = rowsOfWorkflow(workflow, feed).length > 0;
          if (
            condition.state === "succeeded" &&
            objects.length > 0 &&
            makesDifference &&
            !isPublished
          ) {
            wrong.push(`${id} succeeded, and ${feed} has none of it`);
          }
          if (
            isPublished &&
            own?.condition.state !== "succeeded" &&
            condition.state !== "abandoned"
          ) {
            wrong.push(`${id} is ${condition.state}, and ${feed} has its rows`);
          }
          if (own?.condition.state === "succeeded")
            wrong.push(...rejectsWrong(model, workflow, feed, control));
        }
      }
      return wrong;
    },
  };
}

const sorted = (rows: Iterable<ModelRow>): string =>
  [...rows]
    .map(({ id, ordinal }) => `${ordinal}:${id}`)
    .sort()
    .join(" ");

/**
 * Each refused row of a published load stands in the quarantine: once for readers, who see one row of a place. Below
 * them a part may stand there twice, where ClickHouse is killed in the MOVE of an attempt that another one has followed.
 */
function rejectsWrong(
  model: ClickHouseModel,
  workflow: ModelWorkflow,
  feed: string,
  control: ControlModel,
): string[] {
  const own = control.tasks.filter(
    (task) => task.workflow === workflow && task.feed === feed && task.condition.kind === "load",
  );
  const ordinals = new Set(own.map(({ ordinal }) => ordinal));
  const bad = own.flatMap(({ object, ordinal }) =>
    object === undefined || ordinal === undefined
      ? []
      : allRowsOf(object, ordinal).filter(({ isGood }) => !isGood),
  );
  const all = (model.rowsOf(SOURCE, `${feed}__rejects`) ?? []).filter(({ ordinal }) =>
    ordinals.has(ordinal),
  );
  const held = new Map(all.map((row) => [row.version, row])).values().toArray();
  if (sorted(held) === sorted(bad)) return [];
  return [
    `the quarantine of ${feed} holds ${sorted(held)} of ${workflow.id} instead of ${sorted(bad)}`,
  ];
}

/** Tables that nobody needs any more. */
export function leftBehind(
  model: ClickHouseModel,
  control: ControlModel,
  keeps: boolean,
): string[] {
  const private_ = model.tableNames().filter((name) => /__(stg|pub)_/.test(name));
  const kept = model.tableNames().filter((name) => name.includes("__kept_"));
  const most = keeps ? new Set(kept.map((name) => name.split("__kept_")[0])).size : 0;
  return [
    ...private_.map((name) => `${name} is left behind`),
    ...(kept.length > most ? [`${kept.join(", ")} are kept`] : []),
    ...control.tasks.flatMap(({ id, condition }) =>
      condition.state === "failed" && condition.kind === "discard" ? [`${id} gave up`] : [],
    ),
  ];
}
