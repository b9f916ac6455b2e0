/**
 * Who a bearer token stands for: the administrator, or a service account by a JWT that this server signed. A JWT counts
 * only while its account (and the Pod or Secret it is bound to) is still there with the same uid.
 */

import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { base64url, sameSecret } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asText, at, fields, meta, nameOf, namespaceOf, type Obj, uidOf } from './objects.ts';
import { MASTERS, type User } from './rbac.ts';
import type { ObjectStore } from './store.ts';

export const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const LEGACY_ISSUER = 'kubernetes/serviceaccount';
const LONGEST = 2 ** 32;
export const SHORTEST_SECONDS = 600;
/** Tokens whose signature is known to be good. */
const REMEMBERED = 1024;

export interface Bound {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface Authenticated {
  readonly user: User;
  readonly audiences: readonly string[];
}

export class Tokens {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #admin: string;
  readonly #private: KeyObject;
  readonly #public: KeyObject;
  readonly #keyId: string;
  readonly #verified = new Map<string, JWTPayload>();

  constructor(store: ObjectStore, clock: Clock, admin: string, signingKey: string) {
    this.#store = store;
    this.#clock = clock;
    this.#admin = admin;
    this.#private = createPrivateKey(signingKey);
    this.#public = createPublicKey(this.#private);
    this.#keyId = base64url(
      createHash('sha256')
        .update(this.#public.export({ type: 'spki', format: 'der' }))
        .digest(),
    );
  }

  /** The keys to verify service account tokens with (RFC 7517). */
  jwks() {
    return {
      keys: [{ ...this.#public.export({ format: 'jwk' }), kid: this.#keyId, alg: 'ES256', use: 'sig' }],
    };
  }

  /** Signs a token for a service account. Times are seconds since 1970. */
  async issue(
    account: Obj,
    audiences: readonly string[],
    seconds: number,
    bound?: Bound,
  ): Promise<{ token: string; expires: number }> {
    const now = Math.floor(this.#clock.now() / 1000);
    const expires = now + Math.min(seconds, LONGEST);
    const claims = {
      'kubernetes.io': {
        namespace: namespaceOf(account),
        serviceaccount: { name: nameOf(account), uid: uidOf(account) },
        ...(bound === undefined ? {} : { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } }),
      },
    };
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: this.#keyId })
      .setIssuer(ISSUER)
      .setSubject(subjectOf(account))
      .setAudience([...audiences])
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(expires)
      .setJti(crypto.randomUUID())
      .sign(this.#private);
    return { token, expires };
  }

  /** A token without end, for a Secret of type service-account-token: it counts as long as that Secret holds it. */
  issueLegacy(account: Obj, secretName: string): Promise<string> {
    const claims = {
      'kubernetes.io/serviceaccount/namespace': namespaceOf(account),
      'kubernetes.io/serviceaccount/secret.name': secretName,
      'kubernetes.io/serviceaccount/service-account.name': nameOf(account),
      'kubernetes.io/serviceaccount/service-account.uid': uidOf(account),
    };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: this.#keyId })
      .setIssuer(LEGACY_ISSUER)
      .setSubject(subjectOf(account))
      .sign(this.#private);
  }

  /** Whom a token stands for with one of these audiences, or why it stands for nobody. */
  async authenticate(
    token: string,
    audiences: readonly string[] = [ISSUER],
  ): Promise<Authenticated | string> {
    if (sameSecret(token, this.#admin)) {
      if (!audiences.includes(ISSUER)) return 'the token is not for these audiences';
      return {
        user: { name: 'kubernetes-admin', uid: '', groups: [MASTERS, 'system:authenticated'], extra: {} },
        audiences: [ISSUER],
      };
    }
    let claims: JWTPayload;
    try {
      claims = await this.#claims(token);
    } catch (error) {
      return error instanceof errors.JWTExpired
        ? 'service account token has expired'
        : 'invalid bearer token';
    }
    return claims['iss'] === LEGACY_ISSUER
      ? this.#legacy(claims, token, audiences)
      : this.#current(claims, audiences);
  }

  /**
   * The claims of a token that was signed here and is in its time. A signature that was good stays so, and to verify it
   * is the dearest part of a request: it is remembered, by a hash of the token. The time is looked at each time.
   */
  async #claims(token: string): Promise<JWTPayload> {
    const id = createHash('sha256').update(token).digest('base64');
    const now = this.#clock.now();
    const known = this.#verified.get(id);
    if (known !== undefined) {
      const { nbf = 0, exp = Number.POSITIVE_INFINITY } = known;
      if (nbf * 1000 <= now && now < exp * 1000) return known;
      this.#verified.delete(id);
    }
    const { payload } = await jwtVerify(token, this.#public, {
      algorithms: ['ES256'],
      issuer: [ISSUER, LEGACY_ISSUER],
      currentDate: new Date(now),
    });
    const [oldest] = this.#verified.keys();
    if (this.#verified.size >= REMEMBERED && oldest !== undefined) this.#verified.delete(oldest);
    this.#verified.set(id, payload);
    return payload;
  }

  #current(claims: Record<string, unknown>, audiences: readonly string[]): Authenticated | string {
    const given = Array.isArray(claims['aud']) ? claims['aud'] : [claims['aud']];
    const shared = audiences.filter((audience) => given.includes(audience));
    if (shared.length === 0) return 'token audiences do not match the audiences that were asked for';
    const own = JSON.parse(JSON.stringify(claims['kubernetes.io'] ?? {})) as Obj;
    const namespace = asText(own['namespace']) ?? '';
    const account = this.#account(
      namespace,
      asText(at(own, 'serviceaccount', 'name')) ?? '',
      asText(at(own, 'serviceaccount', 'uid')),
    );
    if (typeof account === 'string') return account;
    const extra: Record<string, readonly string[]> = {};
    const id = claims['jti'];
    if (typeof id === 'string') extra['authentication.kubernetes.io/credential-id'] = [`JTI=${id}`];
    for (const [kind, plural] of [
      ['pod', 'pods'],
      ['secret', 'secrets'],
    ] as const) {
      const name = asText(at(own, kind, 'name'));
      if (name === undefined) continue;
      const found = this.#store.get({ resource: `core/${plural}`, namespace, name });
      if (found === undefined || uidOf(found) !== asText(at(own, kind, 'uid')))
        return `service account token has been invalidated: its ${kind} is gone`;
      if (kind === 'pod') {
        extra['authentication.kubernetes.io/pod-name'] = [name];
        extra['authentication.kubernetes.io/pod-uid'] = [uidOf(found)];
      }
    }
    return { user: userOf(account, extra), audiences: shared };
  }

  #legacy(
    claims: Record<string, unknown>,
    token: string,
    audiences: readonly string[],
  ): Authenticated | string {
    if (!audiences.includes(ISSUER)) return 'token audiences do not match the audiences that were asked for';
    const claim = (name: string): string => {
      const value = claims[`kubernetes.io/serviceaccount/${name}`];
      return typeof value === 'string' ? value : '';
    };
    const namespace = claim('namespace');
    const account = this.#account(namespace, claim('service-account.name'), claim('service-account.uid'));
    if (typeof account === 'string') return account;
    const secret = this.#store.get({ resource: 'core/secrets', namespace, name: claim('secret.name') });
    const held = asText(at(secret, 'data', 'token'));
    if (held === undefined || !sameSecret(Buffer.from(held, 'base64'), token))
      return 'service account token has been invalidated';
    return { user: userOf(account, {}), audiences: [ISSUER] };
  }

  #account(namespace: string, name: string, uid: string | undefined): Obj | string {
    const account = this.#store.get({ resource: 'core/serviceaccounts', namespace, name });
    if (account === undefined || uidOf(account) !== uid)
      return 'service account token has been invalidated: its account is gone';
    if (meta(account)['deletionTimestamp'] !== undefined)
      return 'service account token has been invalidated: its account is being deleted';
    return account;
  }
}

const subjectOf = (account: Obj): string =>
  `system:serviceaccount:${namespaceOf(account)}:${nameOf(account)}`;

const userOf = (account: Obj, extra: User['extra']): User => ({
  name: subjectOf(account),
  uid: uidOf(account),
  groups: [
    'system:serviceaccounts',
    `system:serviceaccounts:${namespaceOf(account)}`,
    'system:authenticated',
  ],
  extra,
});

/** A user as reviews answer it. */
export const userInfo = (user: User): Obj =>
  fields({
    username: user.name,
    uid: user.uid === '' ? undefined : user.uid,
    groups: [...user.groups],
    extra:
      Object.keys(user.extra).length === 0
        ? undefined
        : fields(Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]]))),
  });
