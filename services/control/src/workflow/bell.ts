/**
 * Wakes whoever waits for news of this process. It counts, so that news that comes between a look
 * and the wait that follows is not missed: take `rung` before looking, pass it when waiting.
 */
export interface Bell {
  readonly rung: number;
  ring(): void;
  /**
   * Resolves when it was rung after `seen`, when `timeoutMs` have passed, or when a signal aborts.
   * Never rejects.
   */
  after(seen: number, timeoutMs: number, ...signals: readonly AbortSignal[]): Promise<void>;
}

export function createBell(): Bell {
  let rung = 0;
  const waiting = new Set<() => void>();
  return {
    get rung() {
      return rung;
    },
    ring() {
      rung += 1;
      for (const wake of [...waiting]) wake();
    },
    after(seen, timeoutMs, ...signals) {
      if (rung !== seen || timeoutMs <= 0 || signals.some((signal) => signal.aborted)) {
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          waiting.delete(wake);
          for (const signal of signals) signal.removeEventListener("abort", wake);
          resolve();
        };
        const timer = setTimeout(wake, timeoutMs);
        waiting.add(wake);
        for (const signal of signals) signal.addEventListener("abort", wake);
      });
    },
  };
}

/** A bell for each workflow that is being watched. */
export interface WorkflowBells {
  /** `hasEnded`: whether the news is the workflow's end. */
  ring(workflowId: string, hasEnded: boolean): void;
  /** Listens to a workflow until disposed: to all news, and to ends alone. */
  listen(workflowId: string): { readonly bell: Bell; readonly ends: Bell } & Disposable;
}

export function createWorkflowBells(): WorkflowBells {
  const bells = new Map<string, { readonly bell: Bell; readonly ends: Bell; listeners: number }>();
  return {
    ring(workflowId, hasEnded) {
      const entry = bells.get(workflowId);
      entry?.bell.ring();
      if (hasEnded) entry?.ends.ring();
    },
    listen(workflowId) {
      const entry = bells.get(workflowId) ?? {
        bell: createBell(),
        ends: createBell(),
        listeners: 0,
      };
      bells.set(workflowId, entry);
      entry.listeners += 1;
      let listening = true;
      return {
        bell: entry.bell,
        ends: entry.ends,
        [Symbol.dispose]() {
          if (!listening) return;
          listening = false;
          entry.listeners -= 1;
          if (entry.listeners === 0) bells.delete(workflowId);
        },
      };
    },
  };
}
