/**
 * What the core is asked and what it answers, free of any wire: HTTP is one way to ask, `holdfast dev` asks in the process.
 * Nothing in a request is trusted but its shape; the path was parsed once, at the edge.
 */

import type { Failure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import type { Path } from '../../base/path.ts';
import type { Lasting, LeaseInfo, RawReply, Verb } from '../../plugin/plugin.ts';

export interface Request {
  readonly verb: Verb;
  /** Below /v1/. */
  readonly path: Path;
  /** The end of the path was no path but base64, and stands there as one segment: for routes that say so (`Route.opaque`). */
  readonly opaque?: boolean;
  /** Of the answer nobody will see more than its status and headers (HEAD). */
  readonly headersOnly?: boolean;
  /** The body as it came, or members that are already parsed (a query, or a caller in this process). */
  readonly body?: Uint8Array;
  readonly data?: Readonly<Record<string, Json>>;
  /** The body as it comes in, where the operation takes a stream: it may be larger than any other. */
  readonly stream?: AsyncIterable<Uint8Array>;
  /** The body is a form, not JSON. */
  readonly form?: boolean;
  readonly token?: string;
  /** Stands for the headers and with them for the token, where the same ones came before: who knows it need not read them. */
  readonly sender?: object;
  /** Absent or 0: the answer is not wrapped. */
  readonly wrapTtlMs?: number;
  /** Asks what the path is, not for what lies there. */
  readonly help?: boolean;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly remote: { readonly address: string; readonly port: number };
  readonly peerCertificate?: Uint8Array;
  /** Where it came in, whoever can reach the place may read sys/metrics. */
  readonly openMetrics?: boolean;
  readonly signal: AbortSignal;
}

/** Who may now act, as the `auth` block tells it. Milliseconds. */
export interface AuthInfo {
  readonly token: string;
  readonly type: 'service' | 'batch';
  readonly accessor: string;
  /** Of the token itself. */
  readonly policies: readonly string[];
  /** Of its entity and the entity's groups, as they are now. */
  readonly identityPolicies: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly leaseMs: number;
  readonly renewable: boolean;
  readonly entityId: string;
  readonly orphan: boolean;
  readonly uses: number;
}

export interface WrapInfo {
  readonly token: string;
  readonly accessor: string;
  readonly ttlMs: number;
  readonly createdAt: number;
  readonly path: string;
  readonly wrappedAccessor?: string;
}

export interface Envelope {
  /** A UUID. */
  readonly requestId: string;
  readonly lease?: LeaseInfo | undefined;
  readonly data?: unknown;
  /** Where this very `data` never changes. */
  readonly lasting?: Lasting | undefined;
  readonly warnings?: readonly string[] | undefined;
  readonly auth?: AuthInfo | undefined;
  readonly wrap?: WrapInfo | undefined;
  readonly mountType: string;
  /** The members of `data` are repeated at the top. */
  readonly flat: boolean;
}

export type Answer =
  | { readonly kind: 'envelope'; readonly envelope: Envelope; readonly status?: number }
  /** Nothing to tell: done where something was to be done, absent where something was to be read. */
  | { readonly kind: 'done' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'raw'; readonly reply: RawReply }
  | { readonly kind: 'failed'; readonly failure: Failure };
