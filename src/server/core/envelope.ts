/** The envelope that every answer of the Vault API comes in, as text: the same for the wire and for what is wrapped. */

import { seconds } from '../../base/duration.ts';
import { stringify } from '../../base/json.ts';
import { united } from './authority.ts';
import type { AuthInfo, Envelope, WrapInfo } from './request.ts';

/** RFC 3339 with the nine digits that Go prints. */
export const timestamp = (at: number): string => new Date(at).toISOString().replace('Z', '000000Z');

/** All keys are always there, null where there is nothing: Go and Python clients index them without asking. */
export function envelopeText(envelope: Envelope): string {
  const { lease, wrap } = envelope;
  const data = wrap === undefined && envelope.data !== undefined ? dataText(envelope) : 'null';
  let text = `{"request_id":${JSON.stringify(wrap === undefined ? envelope.requestId : '')}`;
  text +=
    lease === undefined
      ? ',"lease_id":"","renewable":false,"lease_duration":0'
      : `,"lease_id":${JSON.stringify(lease.id)},"renewable":${lease.renewable},"lease_duration":${seconds(lease.durationMs)}`;
  text += `,"data":${data}`;
  text += `,"wrap_info":${wrap === undefined ? 'null' : stringify(wrapBlock(wrap))}`;
  text += `,"warnings":${envelope.warnings?.length ? stringify(envelope.warnings) : 'null'}`;
  text += `,"auth":${envelope.auth === undefined || wrap !== undefined ? 'null' : stringify(authBlock(envelope.auth))}`;
  text += `,"mount_type":${JSON.stringify(envelope.mountType)}`;
  const top = envelope.flat && data.startsWith('{') ? flattened(envelope.data) : '';
  return top === '' ? `${text}}` : `${text},${top}}`;
}

const dataText = ({ data, text }: Envelope): string => text ?? stringify(data);

const OWN: ReadonlySet<string> = new Set([
  ...['request_id', 'lease_id', 'renewable', 'lease_duration'],
  ...['data', 'wrap_info', 'warnings', 'auth', 'mount_type'],
]);

/** A member that bears a name of the envelope's own stays in `data` only. */
function flattened(data: unknown): string {
  const entries = Object.entries(data as object).filter(([key]) => !OWN.has(key));
  return stringify(new Map(entries)).slice(1, -1);
}

function authBlock(auth: AuthInfo): object {
  return {
    client_token: auth.token,
    accessor: auth.accessor,
    policies: united(auth.policies, auth.identityPolicies),
    token_policies: auth.policies,
    ...(auth.identityPolicies.length === 0 ? {} : { identity_policies: auth.identityPolicies }),
    metadata: Object.keys(auth.metadata).length === 0 ? null : auth.metadata,
    // Rounded up: making the token durable took some of its first second, and clients compare with what they asked for.
    lease_duration: Math.ceil(auth.leaseMs / 1000),
    renewable: auth.renewable,
    entity_id: auth.entityId,
    token_type: auth.type,
    orphan: auth.orphan,
    mfa_requirement: null,
    num_uses: auth.uses,
  };
}

function wrapBlock(wrap: WrapInfo): object {
  return {
    token: wrap.token,
    accessor: wrap.accessor,
    ttl: seconds(wrap.ttlMs),
    creation_time: timestamp(wrap.createdAt),
    creation_path: wrap.path,
    ...(wrap.wrappedAccessor === undefined ? {} : { wrapped_accessor: wrap.wrappedAccessor }),
  };
}
