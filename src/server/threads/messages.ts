/** What the thread that writes and the threads that read say to each other. Both are of one build: nothing here is parsed. */

import type { AuditedLines } from '../audit/broker.ts';
import type { Request } from '../core/request.ts';
import type { StreamMessage } from './streams.ts';

/** A request as it crosses: its signal is a message of its own, its stream has the request's number. */
export type Asked = Omit<Request, 'signal' | 'stream'> & { readonly streamed: boolean };

/** An answer as it goes out; `body` absent: it comes as a stream under the number of the request. */
export interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number | readonly string[]>>;
  readonly body?: Uint8Array | string;
}

/** Names of an operation, a mount and an outcome, and seconds. */
export type Observed = readonly [labels: readonly [string, string, string], seconds: number];

export type FromReader =
  | { readonly kind: 'ask'; readonly id: number; readonly asked: Asked }
  /** Whoever asked is gone. */
  | { readonly kind: 'gone'; readonly id: number }
  /** A socket that asks for events: what it sends, its words first, is the stream of the number, and so is what it is sent. */
  | { readonly kind: 'events'; readonly id: number; readonly remote: Request['remote'] }
  | { readonly kind: 'lines'; readonly id: number; readonly lines: AuditedLines }
  | { readonly kind: 'observed'; readonly all: readonly Observed[] }
  | { readonly kind: 'root-key' }
  | { readonly kind: 'sealed' }
  | { readonly kind: 'listening' }
  | { readonly kind: 'unshared'; readonly reason: string }
  | { readonly kind: 'closed' }
  | StreamMessage;

export type FromWriter =
  | { readonly kind: 'told'; readonly id: number; readonly told: Told }
  | { readonly kind: 'line-taken'; readonly id: number; readonly taken: boolean }
  /** The store is open: from now on the reader answers too. */
  | { readonly kind: 'open'; readonly rootKey: LentKey }
  /** The answer to `root-key`; absent where the store is sealed. */
  | { readonly kind: 'root-key'; readonly rootKey?: LentKey }
  | { readonly kind: 'seal' }
  | { readonly kind: 'renew'; readonly listener: number; readonly tls: SharedTls }
  | { readonly kind: 'close'; readonly graceMs: number | undefined }
  | StreamMessage;

/** As the listener takes it. PEM. */
export interface SharedTls {
  readonly cert: string;
  readonly key: string;
  readonly clientCertificates?: boolean;
  readonly requiredAuthorities?: string;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/** A key in memory that both threads see, the receiver's to wipe: a message would leave copies that nobody can. */
export type LentKey = SharedArrayBuffer;

export function lend(key: Uint8Array): LentKey {
  const shared = new SharedArrayBuffer(key.length);
  new Uint8Array(shared).set(key);
  return shared;
}

/** A copy of the key, the caller's to wipe; what was lent is wiped. */
export function takeLent(lent: LentKey): Buffer {
  const view = new Uint8Array(lent);
  const key = Buffer.alloc(view.length);
  key.set(view);
  view.fill(0);
  return key;
}
