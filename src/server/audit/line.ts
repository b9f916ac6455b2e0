/** The layout of an audit line, as readers of Vault's audit files know it. What is known goes in, one object's text comes out. */

import { seconds } from '../../base/duration.ts';
import { stringify } from '../../base/json.ts';
import type { AuditAuth, AuditRequest, AuditResponse, Clear, LineType } from './audit.ts';
import { elided, type Hasher } from './hash.ts';

export interface LineOptions {
  readonly logRaw: boolean;
  readonly hmacAccessor: boolean;
  readonly elideListResponses: boolean;
}

export interface LineInput {
  readonly type: LineType;
  readonly request: AuditRequest;
  readonly auth: AuditAuth | undefined;
  readonly error: string | undefined;
  readonly clear: Clear | undefined;
  /** Present in lines of the type "response". */
  readonly response?: AuditResponse | undefined;
}

/** Headers that say nothing secret and join lines to other logs, where nobody said otherwise. */
const PLAIN_HEADERS: readonly string[] = ['correlation-id', 'x-correlation-id', 'user-agent'];

/** The texts of the lines of one exchange, each a JSON object; `at` in milliseconds since the epoch. */
export function auditLines(
  lines: readonly LineInput[],
  hasher: Hasher,
  options: LineOptions,
  at: number,
): readonly string[] {
  const layout = new Layout(hasher, options);
  const time = new Date(at).toISOString();
  return lines.map((input) => {
    const { type, request, auth, response, error } = input;
    let text = `{"time":"${time}","type":"${type}"`;
    if (auth !== undefined) text += `,"auth":${layout.auth(auth, auth.clientToken ?? request.clientToken)}`;
    text += `,"request":${layout.request(input)}`;
    if (response !== undefined) text += `,"response":${layout.response(input, response)}`;
    return `${text}${member('error', error)}}`;
  });
}

/** What every line of an exchange tells. */
export type Told = Pick<LineInput, 'request' | 'auth' | 'clear'>;

/** The one line of an exchange, or both: what went wrong is then told by the second. */
export function inputsOf(
  types: readonly LineType[],
  { request, auth, clear }: Told,
  response: AuditResponse | undefined,
  error: string | undefined,
): readonly LineInput[] {
  const last = types.length - 1;
  // Member by member: a spread would give each object a shape of its own, which costs more than the whole line.
  return types.map((type, at) => ({
    type,
    request,
    auth,
    clear,
    response: type === 'response' ? response : undefined,
    error: at === last ? error : undefined,
  }));
}

/** The parts of a line. What comes again with each request of a caller, or each read of a secret, is written once and kept. */
class Layout {
  readonly #hasher: Hasher;
  readonly #options: LineOptions;
  /** What was written of the request, for the other line of the exchange. */
  #asked: { readonly of: AuditRequest; readonly text: string } | undefined;

  constructor(hasher: Hasher, options: LineOptions) {
    this.#hasher = hasher;
    this.#options = options;
  }

  auth(from: AuditAuth, clientToken: string | undefined): string {
    return this.#hasher.kept(from, clientToken, () => {
      const facts = this.#facts(from);
      const token = this.#secret(clientToken);
      if (token === undefined) return facts;
      return `{"client_token":${JSON.stringify(token)}${facts === '{}' ? '}' : `,${facts.slice(1)}`}`;
    });
  }

  request(input: LineInput): string {
    if (this.#asked?.of !== input.request) this.#asked = { of: input.request, text: this.#request(input) };
    return this.#asked.text;
  }

  #request({ request, clear }: LineInput): string {
    const { headers, wrapTtlMs } = request;
    let text = `{"id":${JSON.stringify(request.id)},"operation":${JSON.stringify(request.operation)}`;
    text += this.#mount(request);
    text += member('client_token', this.#secret(request.clientToken));
    text += member('client_token_accessor', this.#accessor(request.clientTokenAccessor));
    text += `,"namespace":{"id":"root"},"path":${JSON.stringify(request.path)}`;
    text += member('data', this.#data(request.data, clear?.request));
    text += `,"remote_address":${JSON.stringify(request.remoteAddress)},"remote_port":${request.remotePort}`;
    if (wrapTtlMs !== undefined) text += `,"wrap_ttl":${seconds(wrapTtlMs)}`;
    if (headers !== undefined)
      text += member('headers', this.#headers(headers, request.clearHeaders ?? PLAIN_HEADERS));
    return `${text}}`;
  }

  response({ request, clear }: LineInput, from: AuditResponse): string {
    const mount = this.#mount(request);
    const begun = mount !== '';
    // Cutting off the first comma of the whole would copy it, and most of it is what was kept.
    let text = begun ? `{${mount.slice(1)}` : '';
    if (from.auth !== undefined) text += `,"auth":${this.auth(from.auth, from.auth.clientToken)}`;
    if (from.leaseId !== undefined) text += member('secret', { lease_id: from.leaseId });
    text += this.#answered(request, from, clear);
    text += member('warnings', from.warnings);
    text += member(
      'wrap_info',
      from.wrap && {
        ttl: seconds(from.wrap.ttlMs),
        token: this.#secret(from.wrap.token),
        accessor: this.#accessor(from.wrap.accessor),
        wrapped_accessor: this.#accessor(from.wrap.wrappedAccessor),
        creation_time: from.wrap.createdAt,
        creation_path: from.wrap.path,
      },
    );
    return begun ? `${text}}` : `{${text.slice(1)}}`;
  }

  #answered(request: AuditRequest, from: AuditResponse, clear: Clear | undefined): string {
    const { data } = from;
    const isElided = this.#options.elideListResponses && request.operation === 'list';
    const write = (): string => member('data', this.#data(isElided ? elided(data) : data, clear?.response));
    if (from.lasting !== true || isElided || typeof data !== 'object' || data === null) return write();
    return this.#hasher.kept(data, clear?.response, write);
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
    return this.#hasher.kept(
      mount,
      undefined,
      () =>
        member('mount_point', mount.point) +
        member('mount_type', mount.type) +
        member('mount_accessor', mount.accessor) +
        member('mount_class', mount.class),
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

  #headers(given: Readonly<Record<string, readonly string[]>>, clear: readonly string[]): unknown {
    return new Map(
      Object.entries(given).map(([name, values]) => [
        name,
        this.#options.logRaw || clear.includes(name.toLowerCase())
          ? values
          : values.map((value) => this.#hasher.hash(value)),
      ]),
    );
  }
}

/** A member of an object behind another one; nothing where there is no value. */
const member = (name: string, value: unknown): string =>
  value === undefined
    ? ''
    : `,"${name}":${typeof value === 'string' ? JSON.stringify(value) : stringify(value)}`;
