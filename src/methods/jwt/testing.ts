/** An identity provider that answers dials in the process, and signs what it is told to. For tests alone. */

import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { failure } from '../../base/errors.ts';
import type { Dial, DialRequest } from '../../plugin/plugin.ts';

export const ISSUER = 'https://id.example/realms/main';
export const CLIENT = 'holdfast';
export const SECRET = 'client-secret-canary';

export interface Pair {
  readonly id: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

let made = 0;
export function rsa(id = `key-${++made}`): Pair {
  return { id, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) };
}
export function ec(id = `key-${++made}`): Pair {
  return { id, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
}

export const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token signed by a key; the header's members may be changed, and members given as undefined are left out. */
export function signed(claims: unknown, key: Pair, header: object = {}): string {
  const kinds = { rsa: 'RS256', ec: 'ES256', ed25519: 'EdDSA' } as const;
  const type = key.privateKey.asymmetricKeyType as keyof typeof kinds;
  const text = `${part({ alg: kinds[type], kid: key.id, ...header })}.${part(claims)}`;
  const hash = type === 'ed25519' ? null : 'sha256';
  const bytes = sign(hash, Buffer.from(text), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${bytes.toString('base64url')}`;
}

export class FakeProvider {
  issuer = ISSUER;
  keys: Pair[];
  readonly requests: DialRequest[] = [];
  /** Nobody answers. */
  down = false;
  /** What happens while it is asked for a token. */
  meanwhile: (() => Promise<void>) | undefined;
  /** Laid over the documents. */
  discovery: Record<string, unknown> = {};
  /** In the place of the key set. */
  keySet: unknown;
  userinfo: ((token: string) => unknown) | undefined;
  /** What the token endpoint answers to a code; anything else is an invalid_grant. */
  readonly codes = new Map<string, (form: URLSearchParams) => object>();

  constructor(...keys: Pair[]) {
    this.keys = keys;
  }

  asked(tail: string): DialRequest[] {
    return this.requests.filter(({ url }) => url.endsWith(tail));
  }

  readonly dial: Dial = async (request) => {
    this.requests.push(request);
    if (this.down) {
      throw failure('dial.unreachable', { host: 'id.example', port: 443, reason: 'ECONNREFUSED' });
    }
    if (request.url.endsWith('/token')) await this.meanwhile?.();
    const [status, value] = this.#answer(request);
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return { status, body: new TextEncoder().encode(text) };
  };

  #answer(request: DialRequest): [number, unknown] {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith('/.well-known/openid-configuration')) return [200, this.#document()];
    if (pathname.endsWith('/keys')) return [200, this.keySet ?? { keys: this.keys.map(jwkOf) }];
    if (pathname.endsWith('/userinfo')) {
      const [, token = ''] = (request.headers?.['authorization'] ?? '').split('Bearer ');
      return this.userinfo === undefined ? [404, 'no'] : [200, this.userinfo(token)];
    }
    if (!pathname.endsWith('/token')) return [404, 'not found'];
    const form = new URLSearchParams(request.body);
    const code = form.get('code') ?? '';
    const answer = this.codes.get(code);
    this.codes.delete(code);
    return answer === undefined
      ? [400, { error: 'invalid_grant', error_description: `no code ${code}` }]
      : [200, answer(form)];
  }

  #document(): object {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${ISSUER}/auth?tenant=one`,
      token_endpoint: `${ISSUER}/token`,
      userinfo_endpoint: `${ISSUER}/userinfo`,
      jwks_uri: `${ISSUER}/keys`,
      ...this.discovery,
    };
  }
}

export const jwkOf = ({ id, publicKey }: Pair): object => ({
  ...publicKey.export({ format: 'jwk' }),
  kid: id,
  use: 'sig',
});

export const pemOf = ({ publicKey }: Pair): string =>
  publicKey.export({ type: 'spki', format: 'pem' }).toString();
