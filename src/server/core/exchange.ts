/** One request on its way through the pipeline: each step adds what it found out. Never leaves the server's own rooms. */

import { type Failure, failure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import type { Path } from '../../base/path.ts';
import type { Match } from '../../plugin/match.ts';
import type { Call, Caller, LeaseInfo, LeaseTimes, Operation, Reply, Verb } from '../../plugin/plugin.ts';
import type { Storage } from '../../storage/storage.ts';
import type { AuditRequest } from '../audit/audit.ts';
import type { Acl, AclRequest, Decision } from '../auth/acl.ts';
import { fillText, parseTemplate } from '../auth/template.ts';
import type { TokenEntry } from '../auth/tokens.ts';
import type { Authority } from './authority.ts';
import { NO_MEMBERS } from './body.ts';
import type { Core, Services } from './core.ts';
import type { Lead, LiveMount } from './mounts.ts';
import type { Answer, AuthInfo, Request, WrapInfo } from './request.ts';

/** Most requests leave their lists empty, and a list of its own costs each of them. */
const NONE: readonly never[] = [];

export class Exchange {
  /** The `request_id` of the answer and of both lines in the audit trail. */
  readonly id: string;
  readonly core: Core;
  readonly request: Request;
  readonly verb: Verb;
  /** As policy sees it: folded where the route's parameters are. */
  path: Path;
  services: Services | undefined;
  mount: LiveMount | undefined;
  match: Match | undefined;
  operation: Operation | undefined;
  lead: Lead | undefined;
  /** Why there is no route, for who may know. */
  nowhere: Failure | undefined;
  data: Readonly<Record<string, Json>> = NO_MEMBERS;
  token: TokenEntry | undefined;
  /** What the token may do now; absent where there is no token. */
  authority: Authority | undefined;
  capability: AclRequest['capability'] | undefined;
  decision: Decision | undefined;
  input: unknown;
  reply: Reply | undefined;
  lease: LeaseInfo | undefined;
  auth: AuthInfo | undefined;
  /** The login of this request was the first of its entity. */
  entityCreated = false;
  wrap: WrapInfo | undefined;
  warnings: readonly string[] = NONE;
  /** Done once the answer stands and is recorded. */
  afterwards: readonly (() => Promise<void>)[] = NONE;
  /** Leases that were written for this request. Where it fails, what they cover reached nobody and is taken back. */
  reserved: readonly string[] = NONE;
  answer: Answer | undefined;
  /** What the audit trail is told of the request. */
  audited: AuditRequest | undefined;
  /** Nothing can come of it but an answer, and nothing was waited for yet: its line is written with that of the answer. */
  unrecorded = false;
  /** The line of the request, where the operation ran while it was on its way. */
  recorded: Promise<void> | undefined;
  problem: Failure | undefined;

  constructor(core: Core, request: Request, id: string) {
    this.core = core;
    this.request = request;
    this.verb = request.verb;
    this.path = request.path;
    this.id = id;
  }

  /** Has something done once the answer stands and is recorded. */
  later(work: () => Promise<void>): void {
    this.afterwards = [...this.afterwards, work];
  }

  warn(texts: readonly string[]): void {
    this.warnings = [...this.warnings, ...texts];
  }

  get acl(): Acl | undefined {
    return this.authority?.acl;
  }

  /** The services of an open barrier. @throws Failure server.sealed */
  open(): Services {
    if (this.services === undefined) throw failure('server.sealed');
    return this.services;
  }
}

/** What a plugin sees of an exchange. */
export class ExchangeCall implements Call {
  readonly #exchange: Exchange;
  readonly peerCertificate?: Uint8Array;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    if (exchange.request.peerCertificate !== undefined)
      this.peerCertificate = exchange.request.peerCertificate;
  }

  get caller(): Caller | undefined {
    const { token, authority } = this.#exchange;
    return (
      token && {
        accessor: token.accessor,
        displayName: token.displayName,
        policies: authority?.policies ?? token.policies,
        entityId: authority?.identity?.entity.id ?? token.entityId,
        metadata: token.meta,
      }
    );
  }

  get id(): string {
    return this.#exchange.id;
  }
  get verb(): Verb {
    return this.#exchange.verb;
  }
  get headersOnly(): boolean {
    return this.#exchange.request.headersOnly === true;
  }
  get path(): Path {
    return this.#exchange.path;
  }
  get headers(): Call['headers'] {
    return this.#exchange.request.headers;
  }
  get remote(): Call['remote'] {
    return this.#exchange.request.remote;
  }
  get signal(): AbortSignal {
    return this.#exchange.request.signal;
  }

  tokenScope(): Storage {
    const { token } = this.#exchange;
    if (token === undefined) throw failure('request.denied');
    // Nothing would ever clear it away: the server does not know which batch tokens there are.
    if (token.type === 'batch')
      throw failure('request.invalid', {
        reason: 'cubbyhole operations are only supported by service tokens',
      });
    return this.#exchange.open().tokenScope(token.hash);
  }

  async fill(template: string, without = ''): Promise<string | undefined> {
    const parts = parseTemplate(template, (reason, mend) =>
      failure('request.invalid', { reason: `${reason}: ${mend}` }),
    );
    return fillText(parts, this.#exchange.authority?.identity?.identity, without);
  }

  async reserve(handler: string, state: Json, times?: LeaseTimes): Promise<LeaseInfo> {
    const { token, mount } = this.#exchange;
    if (token === undefined || mount === undefined) throw failure('request.denied');
    const services = this.#exchange.open();
    const ttl = services.mounts.ttlOf(mount.entry);
    // What a batch token was given ends with it: at its time, and before that with its parent.
    const isBatch = token.type === 'batch';
    const left =
      isBatch && token.expiresAt !== undefined ? token.expiresAt - services.tokens.now() : undefined;
    const holder = isBatch ? token.parent : token.hash;
    const lease = await services.leases.reserve({
      path: this.#exchange.path.text,
      mountUuid: mount.entry.uuid,
      handler,
      state,
      ...(holder === undefined ? {} : { tokenHash: holder }),
      ttl: left === undefined ? ttl : { ...ttl, maxMs: Math.min(ttl.maxMs, left) },
      ...(times === undefined ? {} : { times }),
    });
    this.#exchange.reserved = [...this.#exchange.reserved, lease.id];
    return lease;
  }

  static exchangeOf(call: ExchangeCall): Exchange {
    return call.#exchange;
  }
}

/** The exchange behind a call: for the server's own routes, which no other plugin can follow. */
export function exchangeOf(call: Call): Exchange {
  if (!(call instanceof ExchangeCall)) throw failure('base.internal');
  return ExchangeCall.exchangeOf(call);
}
