/** Events: what changed and where, never a value. Published after the commit they tell of; their id is its revision. */

export interface ServerEvent {
  /** Storage revision of the change: rising, the same on every node. */
  readonly revision: number;
  /** "kv-v2/data-write" */
  readonly type: string;
  /** Full path, mount included: "secret/data/grafana/admin". */
  readonly path: string;
  /** Full path that a subscriber must be able to read. */
  readonly dataPath: string;
  readonly operation: string;
  readonly modified: boolean;
  readonly plugin: {
    readonly mountPath: string;
    readonly mountAccessor: string;
    readonly plugin: string;
    readonly version?: string;
  };
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The span in which it was changed, as W3C Trace Context writes it; absent: it was not traced. */
  readonly traceparent?: string | undefined;
}

export interface Subscription {
  /** An event type, with "*" for any run of characters: "kv*". */
  readonly type: string;
  /** Resume after this revision; absent: from now on. */
  readonly after?: number;
  /** Asked for each event when it is sent, because policies change: `close` ends the subscription. */
  readonly judge: (event: ServerEvent) => 'send' | 'skip' | 'close';
  readonly signal: AbortSignal;
}

export interface EventBus {
  publish(event: ServerEvent): void;
  /** Ends with `Gone` (storage/storage.ts) when `after` is no longer in the ring, or the subscriber is too slow for it. */
  subscribe(subscription: Subscription): AsyncIterable<ServerEvent>;
}
