/**
 * The audit trail's seam: the broker writes each request before it runs and each answer before it leaves, to every device,
 * and at least one must take it. Fail-closed: where none does, nothing runs and nothing leaves. A read without effect may run
 * before its line is taken, as what it gave does not leave before both are.
 */

import type { Json } from '../../base/json.ts';
import type { Noted } from '../../base/noted.ts';

/** Where lines go: whole lines, already hashed for this device and closed by line feeds, one or many at a time. */
export interface AuditSink {
  readonly name: string;
  /** Where a line that failed is worth a second try, because the connection may have been at fault. */
  readonly redials?: true;
  append(lines: Uint8Array): Promise<void>;
  reopen(): Promise<void>;
  close(): Promise<void>;
}

export interface AuditedMount extends Noted {
  readonly point: string;
  readonly type: string;
  readonly accessor: string;
  readonly class: 'secret' | 'auth' | 'system';
}

/** The headers of a request that the trail keeps. */
export interface KeptHeaders {
  /** By name in lower case. */
  readonly values: Readonly<Record<string, readonly string[]>>;
  /** The names of those that are written as they came. */
  readonly clear: readonly string[];
}

/** What is known of a request, one object for both its lines; secrets are still in the clear here and nowhere after. */
export interface AuditRequest extends Noted {
  /** A UUID. */
  readonly id: string;
  readonly operation: string;
  readonly path: string;
  readonly mount?: AuditedMount | undefined;
  readonly clientToken?: string | undefined;
  readonly clientTokenAccessor?: string | undefined;
  readonly data?: Json | undefined;
  /** One object for a connection. */
  readonly remote: Noted & { readonly address: string; readonly port: number };
  readonly wrapTtlMs?: number | undefined;
  readonly headers?: KeptHeaders | undefined;
}

export interface AuditAuth extends Noted {
  /** Absent in what is known of a request: it is the request's own. */
  readonly clientToken?: string;
  readonly accessor?: string;
  readonly displayName?: string;
  readonly policies?: readonly string[];
  readonly tokenPolicies?: readonly string[];
  readonly identityPolicies?: readonly string[] | undefined;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly entityId?: string;
  /** This login was the first of the entity. */
  readonly entityCreated?: boolean | undefined;
  readonly tokenType?: string;
  readonly tokenTtlMs?: number;
  readonly issuedAt?: string;
  readonly policyResults?:
    | {
        readonly allowed: boolean;
        readonly granting: readonly { readonly name: string; readonly type: string }[];
      }
    | undefined;
}

export interface AuditedWrap {
  readonly token: string;
  readonly accessor: string;
  readonly ttlMs: number;
  readonly createdAt: string;
  readonly path: string;
  readonly wrappedAccessor?: string | undefined;
}

export interface AuditResponse {
  readonly auth?: AuditAuth | undefined;
  readonly data?: Json | undefined;
  /** Where the very object `data` is answered again. */
  readonly lasting?: Noted | undefined;
  readonly leaseId?: string | undefined;
  readonly warnings?: readonly string[] | undefined;
  readonly wrap?: AuditedWrap | undefined;
}

/** Top-level keys of the data that a mount's tuning leaves in the clear. */
export interface Clear {
  readonly request: readonly string[];
  readonly response: readonly string[];
}

/** Lines since the barrier opened, and those that no device took. */
export interface AuditCounts {
  readonly request: { readonly lines: number; readonly failures: number };
  readonly response: { readonly lines: number; readonly failures: number };
}

/** What is told of an exchange. */
export interface AuditedExchange {
  readonly request: AuditRequest;
  readonly auth?: AuditAuth | undefined;
  /** What the line of the response tells; absent where there was none. */
  readonly response?: AuditResponse | undefined;
  /** What went wrong. */
  readonly error?: string | undefined;
  readonly clear?: Clear | undefined;
}

/**
 * Which lines of an exchange. Both, where nothing came of it but an answer that waits for them: a device takes both or neither,
 * and the second tells what went wrong.
 */
export type Lines = 'request' | 'response' | 'both';

export interface AuditBroker {
  readonly enabled: boolean;
  counts?(): AuditCounts;
  /** @throws Failure audit.failed when devices exist and none took the lines */
  record(lines: Lines, exchange: AuditedExchange): Promise<void>;
}
