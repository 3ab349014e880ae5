/** Says what is missing before work can be done, in one word or two; undefined when nothing is. Never rejects. */
export type Readiness = () => Promise<string | undefined>;

/** Whether a look came to a good end within `ms`. What it throws is not told: probes are open to strangers. */
export async function within(ms: number, look: () => Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([
      late,
      look().then(
        () => true,
        () => false,
      ),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** Takes what was found for true for `ms`, and asks once for all who want to know: probes come from strangers. */
export function remembered<T>(ms: number, look: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | undefined;
  let until = 0;
  return async () => {
    if (found === undefined || performance.now() >= until) {
      until = performance.now() + ms;
      found = look();
    }
    return await found;
  };
}
