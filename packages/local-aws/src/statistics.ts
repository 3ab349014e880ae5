/** What the server did, for tests that want to see a socket stop. */

export interface ObjectStatistics {
  /** Bytes of bodies that the operating system took from this process. */
  readonly bytesSent: number;
  /** Responses with a body that are still being sent. */
  readonly openResponses: number;
  readonly getRequests: number;
}

export interface Statistics {
  requestStarted(operation: string): void;
  responseOpened(bucket: string, key: string): void;
  bytesSent(bucket: string, key: string, bytes: number): void;
  responseClosed(bucket: string, key: string): void;
  ofObject(bucket: string, key: string): ObjectStatistics;
  /** Requests by operation. */
  requestCounts(): Record<string, number>;
}

export function createStatistics(): Statistics {
  const requests = new Map<string, number>();
  const objects = new Map<
    string,
    { bytesSent: number; openResponses: number; getRequests: number }
  >();
  const of = (bucket: string, key: string) => {
    const name = `${bucket}/${key}`;
    const found = objects.get(name) ?? { bytesSent: 0, openResponses: 0, getRequests: 0 };
    objects.set(name, found);
    return found;
  };
  return {
    requestStarted: (operation) => {
      requests.set(operation, (requests.get(operation) ?? 0) + 1);
    },
    responseOpened: (bucket, key) => {
      const entry = of(bucket, key);
      entry.openResponses++;
      entry.getRequests++;
    },
    bytesSent: (bucket, key, bytes) => {
      of(bucket, key).bytesSent += bytes;
    },
    responseClosed: (bucket, key) => {
      of(bucket, key).openResponses--;
    },
    ofObject: (bucket, key) => ({ ...of(bucket, key) }),
    requestCounts: () => Object.fromEntries(requests),
  };
}
