/** The layout of an audit line, as readers of Vault's audit files know it. What is known goes in, lines come out on a sheet. */

import { utf8 } from '../../base/bytes.ts';
import { seconds } from '../../base/duration.ts';
import { flat } from '../../base/flat.ts';
import { quoted, stringify } from '../../base/json.ts';
import type { AuditAuth, AuditedExchange, AuditRequest, AuditResponse, Clear, Lines } from './audit.ts';
import { elided, type Hasher } from './hash.ts';
import type { Sheet } from './sheet.ts';

export interface LineOptions {
  readonly logRaw: boolean;
  readonly hmacAccessor: boolean;
  readonly elideListResponses: boolean;
}

/** Headers that say nothing secret and join lines to other logs, where nobody said otherwise. */
const PLAIN_HEADERS: readonly string[] = ['correlation-id', 'x-correlation-id', 'user-agent'];

const RESPONSE = ',"response":';

/** What is written of who asks. */
interface By {
  /** The member of a line, with a comma before it. */
  readonly auth: Uint8Array;
  /** The token of the request and its accessor, as members with a comma before each. */
  readonly identity: string;
}

/** What a device wrote of an answer that stays as it is, on the answer itself: in a map by answer each look-up would go far. */
class Written {
  readonly by: Layout;
  /** The keys that it did not hash. */
  readonly plain: readonly string[] | undefined;
  readonly bytes: Uint8Array;
  /** What another device wrote. */
  readonly before: Written | undefined;

  constructor(
    by: Layout,
    plain: readonly string[] | undefined,
    bytes: Uint8Array,
    before: Written | undefined,
  ) {
    this.by = by;
    this.plain = plain;
    this.bytes = bytes;
    this.before = before;
  }
}

/** What others than this device wrote. */
function without(by: Layout, written: Written | undefined): Written | undefined {
  if (written === undefined) return undefined;
  const before = without(by, written.before);
  return written.by === by ? before : new Written(written.by, written.plain, written.bytes, before);
}

/** How one device has its lines. What comes again with each request of a caller, or each read of a secret, is written once and kept. */
export class Layout {
  readonly #hasher: Hasher;
  readonly #options: LineOptions;
  #now = { at: Number.NaN, time: '' };

  constructor(hasher: Hasher, options: LineOptions) {
    this.#hasher = hasher;
    this.#options = options;
  }

  /** Puts down the lines, each a JSON object that its group has not closed; `at` in milliseconds since the epoch. */
  put(sheet: Sheet, lines: Lines, exchange: AuditedExchange, at: number): void {
    const { request, auth, response, error } = exchange;
    const begin = `{"time":"${this.#time(at)}","type":`;
    sheet.text(`${begin}"${lines === 'response' ? 'response' : 'request'}"`);
    const from = sheet.length;
    const by = auth && this.#by(auth, request);
    if (by !== undefined) sheet.bytes(by.auth);
    sheet.text(this.#request(exchange, by?.identity ?? this.#identity(request)));
    const to = sheet.length;
    if (lines === 'both') {
      sheet.endLine();
      sheet.text(`${begin}"response"`);
      // What was asked, and by whom, is the same in both.
      sheet.again(from, to);
    }
    if (lines !== 'request' && response !== undefined) this.#response(sheet, exchange, response);
    if (error !== undefined) sheet.text(member('error', error));
    sheet.endLine();
  }

  #time(at: number): string {
    if (this.#now.at !== at) this.#now = { at, time: new Date(at).toISOString() };
    return this.#now.time;
  }

  #by(from: AuditAuth, request: AuditRequest): By {
    return this.#hasher.kept(from, request.clientToken, () => ({
      auth: utf8(`,"auth":${this.#auth(from, from.clientToken ?? request.clientToken)}`),
      identity: this.#identity(request),
    }));
  }

  #auth(from: AuditAuth, clientToken: string | undefined): string {
    const facts = this.#facts(from);
    const token = this.#secret(clientToken);
    if (token === undefined) return facts;
    return `{"client_token":${JSON.stringify(token)}${facts === '{}' ? '}' : `,${facts.slice(1)}`}`;
  }

  #identity({ clientToken, clientTokenAccessor }: AuditRequest): string {
    return flat(
      member('client_token', this.#secret(clientToken)) +
        member('client_token_accessor', this.#accessor(clientTokenAccessor)),
    );
  }

  #request({ request, clear }: AuditedExchange, identity: string): string {
    const { headers, wrapTtlMs } = request;
    let text = `,"request":{"id":"${request.id}","operation":${quoted(request.operation)}`;
    text += `${this.#mount(request)}${identity},"namespace":{"id":"root"},"path":${quoted(request.path)}`;
    text += member('data', this.#data(request.data, clear?.request));
    text += `,"remote_address":${quoted(request.remoteAddress)},"remote_port":${request.remotePort}`;
    if (wrapTtlMs !== undefined) text += `,"wrap_ttl":${seconds(wrapTtlMs)}`;
    if (headers !== undefined) text += this.#headers(headers, request.clearHeaders ?? PLAIN_HEADERS);
    return `${text}}`;
  }

  #response(sheet: Sheet, { request, clear }: AuditedExchange, from: AuditResponse): void {
    let text = RESPONSE + this.#mount(request);
    if (from.auth !== undefined) text += `,"auth":${this.#auth(from.auth, from.auth.clientToken)}`;
    if (from.leaseId !== undefined) text += member('secret', { lease_id: from.leaseId });
    const members = sheet.length + RESPONSE.length;
    sheet.text(text);
    sheet.bytes(this.#answered(request, from, clear));
    sheet.text(this.#afterwards(from));
    sheet.object(members);
  }

  #afterwards({ warnings, wrap }: AuditResponse): string {
    if (warnings === undefined && wrap === undefined) return '';
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
    if (lasting === undefined || isElided) return write();
    const first = lasting.audited instanceof Written ? lasting.audited : undefined;
    const plain = clear?.response;
    for (let one = first; one !== undefined; one = one.before)
      if (one.by === this && one.plain === plain) return one.bytes;
    const bytes = write();
    lasting.audited = new Written(this, plain, bytes, without(this, first));
    return bytes;
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

  /** With a comma before it, as it stands in both halves of a line. */
  #mount({ mount }: AuditRequest): string {
    if (mount === undefined) return '';
    return this.#hasher.kept(mount, undefined, () =>
      flat(
        member('mount_point', mount.point) +
          member('mount_type', mount.type) +
          member('mount_accessor', mount.accessor) +
          member('mount_class', mount.class),
      ),
    );
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
  #headers(given: Readonly<Record<string, readonly string[]>>, clear: readonly string[]): string {
    const asWritten = (name: string, values: readonly string[]): readonly string[] =>
      this.#options.logRaw || clear.includes(name.toLowerCase())
        ? values
        : values.map((value) => this.#hasher.hash(value));
    return this.#hasher.kept(given, clear, () =>
      flat(
        member(
          'headers',
          new Map(Object.entries(given).map(([name, values]) => [name, asWritten(name, values)])),
        ),
      ),
    );
  }
}

/** A member of an object behind another one; nothing where there is no value. */
const member = (name: string, value: unknown): string =>
  value === undefined
    ? ''
    : `,"${name}":${typeof value === 'string' ? JSON.stringify(value) : stringify(value)}`;
