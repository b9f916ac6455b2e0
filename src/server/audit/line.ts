/** The layout of an audit line, as readers of Vault's audit files know it. Pure: what is known goes in, one object comes out. */

import { seconds } from '../../base/duration.ts';
import type { AuditAuth, AuditRequest, AuditResponse, Clear } from './audit.ts';
import { elided, type Hasher } from './hash.ts';

export interface LineOptions {
  readonly logRaw: boolean;
  readonly hmacAccessor: boolean;
  readonly elideListResponses: boolean;
}

export interface LineInput {
  readonly request: AuditRequest;
  readonly auth: AuditAuth | undefined;
  readonly error: string | undefined;
  readonly clear: Clear | undefined;
  /** Present in lines of the type "response". */
  readonly response?: AuditResponse | undefined;
}

/** Headers that say nothing secret and join lines to other logs, where nobody said otherwise. */
const PLAIN_HEADERS: readonly string[] = ['correlation-id', 'x-correlation-id', 'user-agent'];

/** The members of one line; `at` in milliseconds since the epoch. */
export function auditLine(
  type: 'request' | 'response',
  input: LineInput,
  hasher: Hasher,
  options: LineOptions,
  at: number,
): Record<string, unknown> {
  const { request, auth, response, error, clear } = input;
  const secret = (text: string | undefined) =>
    text === undefined || text === '' ? undefined : options.logRaw ? text : hasher.identity(text);
  const accessor = (text: string | undefined) => (options.hmacAccessor ? secret(text) : text || undefined);
  const data = (value: unknown, plain: readonly string[] | undefined) =>
    value === undefined ? undefined : options.logRaw ? value : hasher.data(value, plain);

  const authFacts = (from: AuditAuth) => ({
    client_token: secret(from.clientToken),
    accessor: accessor(from.accessor),
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

  const mount = request.mount && {
    mount_point: request.mount.point,
    mount_type: request.mount.type,
    mount_accessor: request.mount.accessor,
    mount_class: request.mount.class,
  };

  const answer = (from: AuditResponse) => ({
    auth: from.auth && authFacts(from.auth),
    ...mount,
    secret: from.leaseId === undefined ? undefined : { lease_id: from.leaseId },
    data: data(
      options.elideListResponses && request.operation === 'list' ? elided(from.data) : from.data,
      clear?.response,
    ),
    warnings: from.warnings,
    wrap_info: from.wrap && {
      ttl: seconds(from.wrap.ttlMs),
      token: secret(from.wrap.token),
      accessor: accessor(from.wrap.accessor),
      wrapped_accessor: accessor(from.wrap.wrappedAccessor),
      creation_time: from.wrap.createdAt,
      creation_path: from.wrap.path,
    },
  });

  return {
    time: new Date(at).toISOString(),
    type,
    auth: auth && authFacts(auth),
    request: {
      id: request.id,
      operation: request.operation,
      ...mount,
      client_token: secret(request.clientToken),
      client_token_accessor: accessor(request.clientTokenAccessor),
      namespace: { id: 'root' },
      path: request.path,
      data: data(request.data, clear?.request),
      remote_address: request.remoteAddress,
      remote_port: request.remotePort,
      wrap_ttl: request.wrapTtlMs === undefined ? undefined : seconds(request.wrapTtlMs),
      headers:
        request.headers && headers(request.headers, request.clearHeaders ?? PLAIN_HEADERS, options, hasher),
    },
    response: response && answer(response),
    error,
  };
}

const headers = (
  given: Readonly<Record<string, readonly string[]>>,
  clear: readonly string[],
  { logRaw }: LineOptions,
  hasher: Hasher,
): Map<string, readonly string[]> =>
  new Map(
    Object.entries(given).map(([name, values]) => [
      name,
      logRaw || clear.includes(name.toLowerCase()) ? values : values.map((value) => hasher.hash(value)),
    ]),
  );
