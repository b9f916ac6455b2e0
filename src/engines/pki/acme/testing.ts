/** An ACME client for tests that can also misbehave: every part of a request may be replaced before or after it is signed. */

import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of many shapes, and a wrong one fails there
  readonly json: any;
}

export interface Twist {
  /** Members of the protected header, over the right ones; undefined takes one away. */
  readonly header?: Readonly<Record<string, unknown>>;
  readonly key?: KeyObject;
  readonly contentType?: string;
  /** Changes the signed request before it is sent. */
  readonly body?: (body: Record<string, string>) => unknown;
}

const text = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export const ecKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;

export function publicJwk(key: KeyObject): Record<string, string> {
  const { d: _, ...jwk } = key.export({ format: 'jwk' }) as Record<string, string>;
  return jwk;
}

/** RFC 7638, of an elliptic curve key. */
export function thumbprint(key: KeyObject): string {
  const { crv, kty, x, y } = publicJwk(key);
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** A flattened JWS, signed with ES256 or whatever the header says. */
export function signedRequest(header: object, payload: unknown, key: KeyObject): Record<string, string> {
  const parts = { protected: text(header), payload: payload === undefined ? '' : text(payload) };
  const data = Buffer.from(`${parts.protected}.${parts.payload}`);
  const signature = sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  return { ...parts, signature };
}

export class AcmeClient {
  readonly key: KeyObject;
  readonly #directory: string;
  // biome-ignore lint/suspicious/noExplicitAny: the directory is looked into by the tests
  #urls: any;
  kid: string | undefined;
  nonces: string[] = [];

  constructor(directory: string, key: KeyObject = ecKey()) {
    this.#directory = directory;
    this.key = key;
  }

  async urls() {
    this.#urls ??= await (await fetch(this.#directory)).json();
    return this.#urls;
  }

  async nonce(): Promise<string> {
    const left = this.nonces.pop();
    if (left !== undefined) return left;
    const { newNonce } = await this.urls();
    return (await fetch(newNonce, { method: 'HEAD' })).headers.get('replay-nonce') ?? '';
  }

  /** @param payload undefined: POST-as-GET */
  async post(url: string, payload?: unknown, twist: Twist = {}): Promise<Told> {
    const own = this.kid === undefined ? { jwk: publicJwk(this.key) } : { kid: this.kid };
    const header = { alg: 'ES256', nonce: await this.nonce(), url, ...own, ...twist.header };
    const body = signedRequest(header, payload, twist.key ?? this.key);
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': twist.contentType ?? 'application/jose+json' },
      body: JSON.stringify(twist.body?.(body) ?? body),
    });
    const fresh = response.headers.get('replay-nonce');
    if (fresh !== null) this.nonces.push(fresh);
    const told = await response.text();
    let json: unknown;
    try {
      json = JSON.parse(told);
    } catch {
      json = undefined;
    }
    return { status: response.status, headers: response.headers, text: told, json };
  }

  async register(more: object = {}): Promise<Told> {
    const made = await this.post((await this.urls()).newAccount, { termsOfServiceAgreed: true, ...more });
    this.kid = made.headers.get('location') ?? undefined;
    return made;
  }

  async order(...names: readonly string[]): Promise<Told> {
    return this.orderFor(names.map((value) => ({ type: 'dns', value })));
  }

  async orderFor(identifiers: readonly { type: string; value: string }[]): Promise<Told> {
    return this.post((await this.urls()).newOrder, { identifiers });
  }

  /** The challenge of one kind in the n-th authorization of an order. */
  async challenge(order: Told, type = 'http-01', at = 0) {
    const authorization = await this.post(order.json.authorizations[at]);
    return authorization.json.challenges.find((one: { type: string }) => one.type === type);
  }

  /** What must be found where the challenge says. */
  proof(token: string): string {
    return `${token}.${thumbprint(this.key)}`;
  }
}
