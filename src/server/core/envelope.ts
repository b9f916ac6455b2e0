/** The envelope that every answer of the Vault API comes in, as text: the same for the wire and for what is wrapped. */

import { utf8, view } from '../../base/bytes.ts';
import { seconds } from '../../base/duration.ts';
import { stringify } from '../../base/json.ts';
import { united } from './authority.ts';
import type { AuthInfo, Envelope, WrapInfo } from './request.ts';

/** RFC 3339 with the nine digits that Go prints. */
export const timestamp = (at: number): string => new Date(at).toISOString().replace('Z', '000000Z');

/** All keys are always there, null where there is nothing: Go and Python clients index them without asking. */
export function envelopeText(envelope: Envelope): string {
  const data = envelope.wrap === undefined && envelope.data !== undefined ? stringify(envelope.data) : 'null';
  const { before, after } = envelopeAround(envelope);
  const top = envelope.flat && data.startsWith('{') ? flattened(envelope.data) : '';
  return top === '' ? before + data + after : `${before}${data}${after.slice(0, -1)},${top}}`;
}

/** The text of an envelope before its data and after it. */
export function envelopeAround(envelope: Envelope): { readonly before: string; readonly after: string } {
  const { lease, wrap } = envelope;
  let before = `{"request_id":"${wrap === undefined ? envelope.requestId : ''}"`;
  before +=
    lease === undefined
      ? ',"lease_id":"","renewable":false,"lease_duration":0,"data":'
      : `,"lease_id":${JSON.stringify(lease.id)},"renewable":${lease.renewable},"lease_duration":${seconds(lease.durationMs)},"data":`;
  let after = `,"wrap_info":${wrap === undefined ? 'null' : stringify(wrapBlock(wrap))}`;
  after += `,"warnings":${envelope.warnings?.length ? stringify(envelope.warnings) : 'null'}`;
  after += `,"auth":${envelope.auth === undefined || wrap !== undefined ? 'null' : stringify(authBlock(envelope.auth))}`;
  after += `,"mount_type":${JSON.stringify(envelope.mountType)}}`;
  return { before, after };
}

/** An envelope behind its `request_id`, for data that is answered again as it is: what is made of it. */
class Tail {
  readonly mountType: string;
  readonly bytes: Buffer;

  constructor(mountType: string, bytes: Buffer) {
    this.mountType = mountType;
    this.bytes = bytes;
  }
}

const NO_ID = '{"request_id":""';

/** The envelope as it goes out: a text, and the bytes that follow it, where those are kept for the next time. */
export function envelopeBody(envelope: Envelope): { readonly head: string; readonly tail?: Buffer } {
  const { lasting, lease, warnings, auth, wrap, flat, mountType } = envelope;
  const isPlain = !(lease || warnings?.length || auth || wrap || flat);
  if (lasting === undefined || !isPlain) return { head: envelopeText(envelope) };
  let tail = lasting.made;
  if (!(tail instanceof Tail && tail.mountType === mountType)) {
    // Not of Node's pool, which all stays for as long as one small piece of it does.
    tail = new Tail(mountType, view(utf8(envelopeText({ ...envelope, requestId: '' }).slice(NO_ID.length))));
    lasting.made = tail;
  }
  return { head: `{"request_id":"${envelope.requestId}"`, tail: (tail as Tail).bytes };
}

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
