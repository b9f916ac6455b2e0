/** Orders and authorizations (RFC 8555 sections 7.4 and 7.5): asked for, proven, turned into a certificate. */

import { base64url } from '../../../base/bytes.ts';
import { isFailure } from '../../../base/errors.ts';
import { certificatePem, readRequest } from '../../../crypto/x509/certificate.ts';
import { spkiOf } from '../../../crypto/x509/keytype.ts';
import type { Mount } from '../../../plugin/plugin.ts';
import { checkNames } from '../allowed.ts';
import { chainOf, type Opened, opened } from '../issuers.ts';
import { checkKey, timesOf, type Wanted } from '../issuing.ts';
import type { Role } from '../role.ts';
import { draft, leafBody } from '../signing.ts';
import { fileOf, type PkiStore } from '../store.ts';
import {
  bare,
  challengesFor,
  checkRequest,
  commonNameFor,
  isWildcard,
  namesFor,
  readIdentifier,
} from './identifiers.ts';
import type { SignerKey } from './jws.ts';
import { Bucket, limited, MOST_IDENTIFIERS, MOST_PENDING, ORDER_BURST, ORDERS_PER_HOUR } from './limits.ts';
import type { Directory } from './policy.ts';
import { AcmeError, asAcmeError } from './problem.ts';
import { type Account, type Authorization, below, type Identifier, type Order } from './records.ts';

const DAY = 24 * 3_600_000;
const ORDER_LIFE_MS = DAY;
/** Whoever renews by a machine needs no more, and what is revoked is listed for no longer. */
const LONGEST_CERTIFICATE_MS = 90 * DAY;
/** RFC 8555 section 11.3 wants 128 bits at least. */
const TOKEN_BYTES = 21;

const malformed = (detail: string): AcmeError => new AcmeError('malformed', detail);

export type OrderStatus = Order['status'] | 'ready';

/** What an order is now (section 7.1.6). Pure. */
export function statusOf(order: Order, authorizations: readonly Authorization[], now: number): OrderStatus {
  if (order.status !== 'pending') return order.status;
  if (now >= order.expires) return 'invalid';
  if (authorizations.length < order.authorizations.length) return 'invalid';
  if (authorizations.some((one) => authorizationStatus(one, now) === 'invalid')) return 'invalid';
  if (authorizations.some(({ status }) => status === 'deactivated')) return 'invalid';
  return authorizations.every(({ status }) => status === 'valid') ? 'ready' : 'pending';
}

/** What an authorization is now. One that nobody proved in time is invalid: nobody can any more. Pure. */
export const authorizationStatus = (
  { status, expires }: Authorization,
  now: number,
): Authorization['status'] | 'expired' => {
  if (now < expires || status === 'invalid' || status === 'deactivated') return status;
  return status === 'valid' ? 'expired' : 'invalid';
};

export interface OpenOrder {
  readonly order: Order;
  readonly status: OrderStatus;
  readonly authorizations: readonly Authorization[];
}

export class Orders {
  readonly #mount: Mount;
  readonly #store: PkiStore;
  readonly #rate: Bucket;

  constructor(mount: Mount, store: PkiStore) {
    this.#mount = mount;
    this.#store = store;
    this.#rate = new Bucket(mount.clock, ORDER_BURST, ORDERS_PER_HOUR);
  }

  /** @throws AcmeError where the role will never give such a certificate, or too many are asked for */
  async create(
    directory: Directory,
    account: Account,
    asked: readonly { readonly type: string; readonly value: string }[],
  ): Promise<OpenOrder> {
    const identifiers = unique(asked.map(readIdentifier));
    if (identifiers.length === 0 || identifiers.length > MOST_IDENTIFIERS)
      throw malformed(`an order must have 1 to ${MOST_IDENTIFIERS} identifiers`);
    for (const identifier of identifiers) checkAllowed(directory, identifier);
    await this.#checkPending(account);
    this.#rate.take('new orders');
    const expires = this.#store.now() + ORDER_LIFE_MS;
    const authorizations = identifiers.map(
      (identifier): Authorization => ({
        id: this.#store.newId(),
        account: account.id,
        identifier: bare(identifier),
        wildcard: isWildcard(identifier),
        status: 'pending',
        expires,
        challenges: challengesFor(identifier).map((type) => ({
          type,
          token: base64url(this.#mount.random(TOKEN_BYTES)),
          status: 'pending',
          validated: 0,
        })),
      }),
    );
    const order: Order = {
      id: this.#store.newId(),
      account: account.id,
      status: 'pending',
      expires,
      identifiers,
      authorizations: authorizations.map(({ id }) => id),
      serial: '',
      issuerId: '',
      certificateExpires: 0,
    };
    await this.#store.commit([
      ...authorizations.map((one) =>
        this.#store.written('acme/authorization', below(account.id, one.id), one),
      ),
      this.#store.written('acme/order', below(account.id, order.id), order),
    ]);
    return { order, status: 'pending', authorizations };
  }

  /** @throws AcmeError malformed: another account's order is as good as none */
  async open(account: Account, id: string): Promise<OpenOrder> {
    const order = await this.#store.get('acme/order', below(account.id, id));
    if (order === undefined) throw malformed('order does not exist');
    return this.#opened(order);
  }

  /** Section 7.1.2.1: those that are not over. */
  async all(account: Account): Promise<OpenOrder[]> {
    const open: OpenOrder[] = [];
    for (const id of await this.#store.list(`acme/order/${account.id}`)) {
      const order = await this.#store.get('acme/order', below(account.id, id));
      if (order !== undefined) open.push(await this.#opened(order));
    }
    return open.filter(({ status }) => status !== 'invalid');
  }

  /** @throws AcmeError malformed */
  async authorization(account: Account, id: string): Promise<Authorization> {
    const found = await this.#store.get('acme/authorization', below(account.id, id));
    if (found === undefined) throw malformed('authorization does not exist');
    return found;
  }

  /** Section 7.5.2. @throws AcmeError malformed where it is over already */
  async deactivate(account: Account, id: string): Promise<Authorization> {
    const now = this.#store.now();
    const after = await this.#store.change('acme/authorization', below(account.id, id), (before) => {
      const status = authorizationStatus(before, now);
      if (status !== 'pending' && status !== 'valid')
        throw malformed(`unable to deactivate authorization in '${status}' status`);
      return {
        ...before,
        status: 'deactivated',
        challenges: before.challenges.map((one) => ({ ...one, status: 'invalid' as const })),
      };
    });
    if (after === undefined) throw malformed('authorization does not exist');
    return after;
  }

  /**
   * Section 7.4: the certificate, for exactly what was proven. Asked twice at once, one certificate is kept.
   * @param csr DER @param own the key of the account, which must not be that of the certificate
   * @throws AcmeError orderNotReady, badCSR
   */
  async finalize(
    directory: Directory,
    account: Account,
    id: string,
    csr: Uint8Array,
    own: SignerKey['key'],
  ): Promise<OpenOrder> {
    const { role, issuer } = directory;
    const found = await this.#store.entry('acme/order', below(account.id, id));
    if (found === undefined) throw malformed('order does not exist');
    const { order, status, authorizations } = await this.#opened(found.value);
    if (status !== 'ready')
      throw new AcmeError('orderNotReady', `order is status ${status}, needs to be in ready state`);
    const made = await this.#drafted(role, issuer, order, csr, own).catch((error: unknown) => {
      throw asAcmeError(error, 'badCSR');
    });
    const der = made.sign();
    const after: Order = {
      ...order,
      status: 'valid',
      serial: made.number,
      issuerId: issuer.issuer.id,
      certificateExpires: made.notAfter,
    };
    try {
      await this.#store.commit(
        [
          this.#store.storedCertificate(made.number, der),
          this.#store.written('acme/issued', below(account.id, fileOf(made.number)), { order: id }),
          this.#store.written('acme/order', below(account.id, id), after),
        ],
        [found.check],
      );
    } catch (error) {
      if (!isFailure(error, 'storage.conflict')) throw error;
      const other = await this.open(account, id);
      if (other.status !== 'valid') throw new AcmeError('orderNotReady', 'the order was changed meanwhile');
      return other;
    }
    return { order: after, status: 'valid', authorizations };
  }

  /** The certificate and its chain in PEM. @throws AcmeError orderNotReady */
  async certificate({ order, status }: OpenOrder): Promise<string> {
    if (status !== 'valid')
      throw new AcmeError('orderNotReady', `order is status ${status}, needs to be in valid state`);
    const der = await this.#store.certificate(order.serial);
    const issuer = await this.#store.get('issuer', order.issuerId);
    if (der === undefined || issuer === undefined)
      throw malformed('the certificate or its issuer is no longer kept');
    const chain = await chainOf(this.#store, opened(issuer));
    return [certificatePem(der), ...chain].map((pem) => `${pem}\n`).join('');
  }

  async #opened(order: Order): Promise<OpenOrder> {
    const authorizations: Authorization[] = [];
    for (const id of order.authorizations) {
      const found = await this.#store.get('acme/authorization', below(order.account, id));
      if (found !== undefined) authorizations.push(found);
    }
    return { order, status: statusOf(order, authorizations, this.#store.now()), authorizations };
  }

  async #checkPending(account: Account): Promise<void> {
    const ids = await this.#store.list(`acme/order/${account.id}`);
    if (ids.length < MOST_PENDING) return;
    const open = await this.all(account);
    const pending = open.filter(({ status }) => status !== 'valid');
    if (pending.length >= MOST_PENDING) throw limited('orders that wait to be finished', ORDER_LIFE_MS);
  }

  async #drafted(given: Role, issuer: Opened, order: Order, csr: Uint8Array, own: SignerKey['key']) {
    const request = readRequest(csr);
    checkRequest(request, order.identifiers);
    if (spkiOf(request.key).equals(spkiOf(own)))
      throw new AcmeError('badCSR', 'certificate public key must not match account key');
    checkKey(given, request);
    const commonName = commonNameFor(request, order.identifiers, given.require_cn);
    // What was proven says the names; of the request only its key is taken, and which of the names is the common one.
    const role: Role = { ...given, use_csr_common_name: false, use_csr_sans: false, require_cn: false };
    const body = leafBody(role, wantedFor(order.identifiers, commonName), request.spki);
    const now = this.#store.now();
    const { notAfter } = timesOf({ ttlMs: 0, notAfter: '' }, role, this.#mount.ttl(), now, undefined);
    const asked = notAfter > now + LONGEST_CERTIFICATE_MS ? LONGEST_CERTIFICATE_MS : 0;
    const cut: Opened =
      issuer.issuer.leafBehavior === 'err'
        ? { ...issuer, issuer: { ...issuer.issuer, leafBehavior: 'truncate' } }
        : issuer;
    return draft(this.#mount, this.#store, cut, role, body, { ttlMs: asked, notAfter: '' });
  }
}

/** @throws AcmeError rejectedIdentifier */
function checkAllowed({ role, roleName }: Directory, identifier: Identifier): void {
  try {
    checkNames(role, namesFor([identifier]));
  } catch (error) {
    if (!isFailure(error)) throw error;
    const who = roleName === '' ? 'the default directory' : `role (${roleName})`;
    throw new AcmeError(
      'rejectedIdentifier',
      `${who} will not issue certificate for name ${identifier.value}`,
    );
  }
}

function wantedFor(identifiers: readonly Identifier[], commonName: string): Wanted {
  const { dns, ips } = namesFor(identifiers);
  return {
    commonName,
    altNames: dns,
    ipSans: ips,
    uriSans: [],
    otherSans: [],
    excludeCn: false,
    serialNumber: '',
    userIds: [],
    ttlMs: 0,
    notAfter: '',
  };
}

function unique(identifiers: readonly Identifier[]): Identifier[] {
  const seen = new Map(identifiers.map((one) => [`${one.type} ${one.value}`, one]));
  return [...seen.values()];
}
