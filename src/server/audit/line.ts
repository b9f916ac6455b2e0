/** The layout of an audit line, as readers of Vault's audit files know it. What is known goes in, lines come out on a sheet. */

import { utf8 } from '../../base/bytes.ts';
import { seconds } from '../../base/duration.ts';
import { quoted, stringify } from '../../base/json.ts';
import { NOTES, type Noted } from '../../base/noted.ts';
import type {
  AuditAuth,
  AuditedExchange,
  AuditedMount,
  AuditRequest,
  AuditResponse,
  Clear,
  KeptHeaders,
  Lines,
} from './audit.ts';
import { elided, type Hasher } from './hash.ts';
import type { Sheet } from './sheet.ts';

export interface LineOptions {
  readonly logRaw: boolean;
  readonly hmacAccessor: boolean;
  readonly elideListResponses: boolean;
}

const RESPONSE = ',"response":';
/** Up to the id of the request. */
const REQUEST = ',"request":{"id":"';
/** The same of who has no token. */
const OPENING = utf8(REQUEST);

/** What is written of who asks. */
interface By {
  /** From the type of the line up to the id of the request. */
  readonly opening: Uint8Array;
  /** The token of the request and its accessor, as members with a comma before each. */
  readonly identity: string;
  /** What it did last, which it mostly does again. */
  last: Did | undefined;
}

interface Did {
  readonly operation: string;
  readonly mount: AuditedMount | undefined;
  /** From the id of the request up to its path. */
  readonly bytes: Uint8Array;
}

/** What is written of a mount. */
interface OfMount {
  /** With a comma before each. */
  readonly members: string;
  /** The beginning of a response, which tells them too. */
  readonly response: Uint8Array;
}
const NO_MOUNT: OfMount = { members: '', response: utf8(RESPONSE) };

/** What a device wrote of something that comes up again and again, on that itself. */
class Written {
  readonly by: Layout;
  /** What else it depends on. */
  readonly on: unknown;
  readonly made: unknown;
  /** What another device wrote. */
  readonly before: Written | undefined;

  constructor(by: Layout, on: unknown, made: unknown, before: Written | undefined) {
    this.by = by;
    this.on = on;
    this.made = made;
    this.before = before;
  }
}

/** What others than this device wrote. */
function without(by: Layout, written: Written | undefined): Written | undefined {
  if (written === undefined) return undefined;
  const before = without(by, written.before);
  return written.by === by ? before : new Written(written.by, written.on, written.made, before);
}

/** How one device has its lines. What comes again with each request of a caller, or each read of a secret, is written once and kept. */
export class Layout {
  readonly #hasher: Hasher;
  readonly #options: LineOptions;
  #now = { at: Number.NaN, request: OPENING, response: OPENING };

  constructor(hasher: Hasher, options: LineOptions) {
    this.#hasher = hasher;
    this.#options = options;
  }

  /** Puts down the lines, each a JSON object that its group has not closed; `at` in milliseconds since the epoch. */
  put(sheet: Sheet, lines: Lines, exchange: AuditedExchange, at: number): void {
    const { response, error } = exchange;
    const begun = this.#begun(at);
    sheet.bytes(lines === 'response' ? begun.response : begun.request);
    const from = sheet.length;
    this.#asked(sheet, exchange);
    const to = sheet.length;
    if (lines === 'both') {
      sheet.endLine();
      sheet.bytes(begun.response);
      // What was asked, and by whom, is the same in both.
      sheet.again(from, to);
    }
    if (lines !== 'request' && response !== undefined) this.#response(sheet, exchange, response);
    if (error !== undefined) sheet.text(member('error', error));
    sheet.endLine();
  }

  /** How the lines of a moment begin. */
  #begun(at: number): { readonly request: Uint8Array; readonly response: Uint8Array } {
    if (this.#now.at !== at) {
      const begin = `{"time":"${new Date(at).toISOString()}","type":`;
      this.#now = { at, request: utf8(`${begin}"request"`), response: utf8(`${begin}"response"`) };
    }
    return this.#now;
  }

  /** Who asks, and what. */
  #asked(sheet: Sheet, { request, auth, clear }: AuditedExchange): void {
    const by = auth && this.#by(auth, request);
    sheet.bytes(by?.opening ?? OPENING);
    sheet.text(request.id);
    if (by === undefined) sheet.text(this.#does(request, this.#identity(request)));
    else sheet.bytes(this.#doesAgain(request, by));
    sheet.text(quoted(request.path));
    if (request.data !== undefined) sheet.bytes(this.#sent(request, clear?.request));
    if (request.wrapTtlMs !== undefined) sheet.text(`,"wrap_ttl":${seconds(request.wrapTtlMs)}`);
    sheet.bytes(this.#from(request));
  }

  #by(from: AuditAuth, request: AuditRequest): By {
    return this.#kept(from, request.clientToken, () => ({
      opening: utf8(`,"auth":${this.#auth(from, from.clientToken ?? request.clientToken)}${REQUEST}`),
      identity: this.#identity(request),
      last: undefined,
    }));
  }

  #doesAgain(request: AuditRequest, by: By): Uint8Array {
    const { operation, mount } = request;
    if (by.last?.operation !== operation || by.last.mount !== mount)
      by.last = { operation, mount, bytes: utf8(this.#does(request, by.identity)) };
    return by.last.bytes;
  }

  /** From the id of the request up to its path. */
  #does({ operation, mount }: AuditRequest, identity: string): string {
    return `","operation":${quoted(operation)}${this.#mount(mount).members}${identity},"namespace":{"id":"root"},"path":`;
  }

  /** What was sent, with a comma before it: in the line of the answer it is the same as in that of the request. */
  #sent(request: AuditRequest, plain: readonly string[] | undefined): Uint8Array {
    return this.#kept(request, plain, () => utf8(member('data', this.#data(request.data, plain))));
  }

  /** Where a request came from and the headers that are kept of it, up to its end. */
  #from({ remote, headers }: AuditRequest): Uint8Array {
    return this.#kept(remote, headers, () => {
      const at = `,"remote_address":${quoted(remote.address)},"remote_port":${remote.port}`;
      return utf8(`${at}${headers === undefined ? '' : this.#headers(headers)}}`);
    });
  }

  #auth(from: AuditAuth, clientToken: string | undefined): string {
    const facts = this.#facts(from);
    const token = this.#secret(clientToken);
    if (token === undefined) return facts;
    return `{"client_token":${JSON.stringify(token)}${facts === '{}' ? '}' : `,${facts.slice(1)}`}`;
  }

  #identity({ clientToken, clientTokenAccessor }: AuditRequest): string {
    return (
      member('client_token', this.#secret(clientToken)) +
      member('client_token_accessor', this.#accessor(clientTokenAccessor))
    );
  }

  #response(sheet: Sheet, { request, clear }: AuditedExchange, from: AuditResponse): void {
    const members = sheet.length + RESPONSE.length;
    sheet.bytes(this.#mount(request.mount).response);
    if (from.auth !== undefined) sheet.text(`,"auth":${this.#auth(from.auth, from.auth.clientToken)}`);
    if (from.leaseId !== undefined) sheet.text(member('secret', { lease_id: from.leaseId }));
    sheet.bytes(this.#answered(request, from, clear));
    if (from.warnings !== undefined || from.wrap !== undefined) sheet.text(this.#afterwards(from));
    sheet.object(members);
  }

  #afterwards({ warnings, wrap }: AuditResponse): string {
    return (
      member('warnings', warnings) +
      member(
        'wrap_info',
        wrap && {
          ttl: seconds(wrap.ttlMs),
          token: this.#secret(wrap.token),
          accessor: this.#accessor(wrap.accessor),
          wrapped_accessor: this.#accessor(wrap.wrappedAccessor),
          creation_time: wrap.createdAt,
          creation_path: wrap.path,
        },
      )
    );
  }

  /** The data of an answer, with a comma before it. */
  #answered(request: AuditRequest, from: AuditResponse, clear: Clear | undefined): Uint8Array {
    const { data, lasting } = from;
    const isElided = this.#options.elideListResponses && request.operation === 'list';
    const write = (): Uint8Array =>
      utf8(member('data', this.#data(isElided ? elided(data) : data, clear?.response)));
    return lasting === undefined || isElided ? write() : this.#kept(lasting, clear?.response, write);
  }

  /**
   * What `write` gives for something that never changes: once, and then it is kept on that.
   * @param on what else it depends on; another one has it written anew
   */
  #kept<T>(of: Noted, on: unknown, write: () => T): T {
    const first = of[NOTES] as Written | undefined;
    // One object is kept for one purpose, and so always as the same type.
    for (let one = first; one !== undefined; one = one.before)
      if (one.by === this && one.on === on) return one.made as T;
    const made = write();
    of[NOTES] = new Written(this, on, made, without(this, first));
    return made;
  }

  #facts(from: AuditAuth): string {
    return stringify({
      accessor: this.#accessor(from.accessor),
      display_name: from.displayName,
      policies: from.policies,
      token_policies: from.tokenPolicies,
      identity_policies: from.identityPolicies,
      policy_results: from.policyResults && {
        allowed: from.policyResults.allowed,
        granting_policies: from.policyResults.granting.map(({ name, type: kind }) => ({
          name,
          namespace_id: 'root',
          type: kind,
        })),
      },
      metadata: from.metadata,
      entity_id: from.entityId || undefined,
      entity_created: from.entityCreated,
      token_type: from.tokenType,
      token_ttl: from.tokenTtlMs === undefined ? undefined : seconds(from.tokenTtlMs),
      token_issue_time: from.issuedAt,
    });
  }

  #mount(mount: AuditedMount | undefined): OfMount {
    if (mount === undefined) return NO_MOUNT;
    return this.#kept(mount, undefined, () => {
      const members =
        member('mount_point', mount.point) +
        member('mount_type', mount.type) +
        member('mount_accessor', mount.accessor) +
        member('mount_class', mount.class);
      return { members, response: utf8(RESPONSE + members) };
    });
  }

  #secret(text: string | undefined): string | undefined {
    if (text === undefined || text === '') return undefined;
    return this.#options.logRaw ? text : this.#hasher.identity(text);
  }

  #accessor(text: string | undefined): string | undefined {
    return this.#options.hmacAccessor ? this.#secret(text) : text || undefined;
  }

  #data(value: unknown, plain: readonly string[] | undefined): unknown {
    if (value === undefined) return undefined;
    return this.#options.logRaw ? value : this.#hasher.data(value, plain);
  }

  /** With a comma before them. */
  #headers({ values: given, clear }: KeptHeaders): string {
    const asWritten = (name: string, values: readonly string[]): readonly string[] =>
      this.#options.logRaw || clear.includes(name.toLowerCase())
        ? values
        : values.map((value) => this.#hasher.hash(value));
    return member(
      'headers',
      new Map(Object.entries(given).map(([name, values]) => [name, asWritten(name, values)])),
    );
  }
}

/** A member of an object behind another one; nothing where there is no value. */
const member = (name: string, value: unknown): string =>
  value === undefined
    ? ''
    : `,"${name}":${typeof value === 'string' ? JSON.stringify(value) : stringify(value)}`;
