/** What ACME clients are told: the resources of RFC 8555 section 7.1 as they stand on the wire. Pure. */

import { utf8 } from '../../../base/bytes.ts';
import { type Json, stringify } from '../../../base/json.ts';
import type { RawReply } from '../../../plugin/plugin.ts';
import { iso } from '../issuing.ts';
import { accountUrl } from './accounts.ts';
import { authorizationStatus, type OpenOrder } from './orders.ts';
import type { Directory } from './policy.ts';
import type { Account, Authorization, Challenge } from './records.ts';

export interface Told {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or PEM as text; absent: nothing. */
  readonly body?: Json;
}

const JSON_TYPE = 'application/json';
/** How soon a client may look again at what is being decided, in seconds. */
const LOOK_AGAIN = '3';

/** What is off is not there. */
export const off = (): { raw: RawReply } => ({
  raw: { status: 404, headers: { 'Content-Type': JSON_TYPE }, body: utf8('{"errors":[]}') },
});

export function wireOf(
  { status = 200, headers = {}, body }: Told,
  common: Readonly<Record<string, string>>,
): RawReply {
  const type = body === undefined ? {} : { 'Content-Type': JSON_TYPE };
  const bytes =
    body === undefined ? new Uint8Array() : utf8(typeof body === 'string' ? body : stringify(body));
  return { status, headers: { ...type, ...common, ...headers }, body: bytes };
}

export const orderUrl = ({ url }: Directory, id: string): string => `${url}order/${id}`;

export const directoryData = ({ url, settings }: Directory): Json => ({
  newNonce: `${url}new-nonce`,
  newAccount: `${url}new-account`,
  newOrder: `${url}new-order`,
  revokeCert: `${url}revoke-cert`,
  keyChange: `${url}key-change`,
  meta: { externalAccountRequired: settings.eabPolicy !== 'not-required' },
});

export function accountTold(directory: Directory, account: Account, status: number): Told {
  const url = accountUrl(directory, account.id);
  return {
    status,
    headers: { Location: url },
    body: {
      status: account.status,
      orders: `${url}/orders`,
      ...(account.contact.length === 0 ? {} : { contact: account.contact }),
    },
  };
}

export function orderTold(
  directory: Directory,
  { order, status, authorizations }: OpenOrder,
  code: number,
): Told {
  const url = orderUrl(directory, order.id);
  // Section 7.1.3: of an order that is over, the ones that were completed.
  const isOver = status === 'valid' || status === 'invalid';
  const told = isOver
    ? authorizations.filter((one) => one.status === 'valid').map(({ id }) => id)
    : order.authorizations;
  return {
    status: code,
    headers: { Location: url },
    body: {
      status,
      expires: iso(order.expires),
      identifiers: order.identifiers.map(({ type, value }) => ({ type, value })),
      authorizations: told.map((id) => `${directory.url}authorization/${id}`),
      finalize: `${url}/finalize`,
      ...(status === 'valid' ? { certificate: `${url}/cert` } : {}),
    },
  };
}

export const authorizationData = (directory: Directory, found: Authorization, now: number): Json => ({
  identifier: { type: found.identifier.type, value: found.identifier.value },
  status: authorizationStatus(found, now),
  expires: iso(found.expires),
  wildcard: found.wildcard,
  challenges: found.challenges.map((one) => challengeData(directory, found.id, one)),
});

export const challengeData = (directory: Directory, id: string, one: Challenge): Json => ({
  type: one.type,
  url: `${directory.url}challenge/${id}/${one.type}`,
  status: one.status,
  token: one.token,
  ...(one.validated === 0 ? {} : { validated: iso(one.validated) }),
  ...(one.error === undefined ? {} : { error: { ...one.error } }),
});

export const waiting = ({ status, challenges }: Authorization): Readonly<Record<string, string>> =>
  status === 'pending' && challenges.some((one) => one.status === 'processing')
    ? { 'Retry-After': LOOK_AGAIN }
    : {};
