/** What ACME refuses, in its own words (RFC 8555 section 6.7). Nobody who asks has a token of ours. */

import { ecKey, publicJwk, signedRequest } from '../../../src/engines/pki/acme/testing.ts';
import type { Row } from './refused.ts';
import type { World } from './world.ts';

const BASE = 'http://127.0.0.1/v1/pki/acme';
const TYPE = ['Content-Type: application/jose+json'];

async function nonceOf(world: World): Promise<string> {
  const { head } = await world.send({ method: 'HEAD', path: 'pki/acme/new-nonce' });
  return /\r\nreplay-nonce: (\S+)/i.exec(head)?.[1] ?? '';
}

interface Twist {
  readonly header?: object;
  readonly payload?: unknown;
  readonly body?: (signed: Record<string, string>) => unknown;
  readonly used?: true;
  readonly path?: string;
  readonly headers?: readonly string[];
}

/** A request for an account that is right but for this. */
function acmeRow(
  name: string,
  type: string,
  status: number,
  twist: Twist,
  kind: Row['class'] = 'malformed',
): Row {
  const path = twist.path ?? 'new-account';
  return {
    name,
    class: kind,
    path: `pki/acme/${path}`,
    as: 'nobody',
    headers: twist.headers ?? TYPE,
    body: ({ signed = '' }) => signed,
    status,
    says: `urn:ietf:params:acme:error:${type}`,
    problem: true,
    async before(world) {
      const key = ecKey();
      const nonce = await nonceOf(world);
      const header = { alg: 'ES256', nonce, url: `${BASE}/${path}`, jwk: publicJwk(key), ...twist.header };
      const made = signedRequest(header, twist.payload ?? { onlyReturnExisting: true }, key);
      if (twist.used)
        await world.send({ method: 'POST', path: `pki/acme/${path}`, headers: TYPE, body: made });
      return { signed: JSON.stringify(twist.body?.(made) ?? made) };
    },
  };
}

export const acme: readonly Row[] = [
  acmeRow('a nonce a second time', 'badNonce', 400, { used: true }, 'replayed'),
  acmeRow(
    'a nonce that was made up',
    'badNonce',
    400,
    { header: { nonce: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' } },
    'replayed',
  ),
  acmeRow('no nonce', 'badNonce', 400, { header: { nonce: undefined } }),
  acmeRow('an account that is not there', 'accountDoesNotExist', 400, {}, 'denied'),
  acmeRow(
    'a request that was signed for another address',
    'unauthorized',
    401,
    { header: { url: `${BASE}/new-order` } },
    'replayed',
  ),
  acmeRow(
    'a request that was signed for another server',
    'unauthorized',
    401,
    { header: { url: 'https://evil.test/acme/new-account' } },
    'replayed',
  ),
  acmeRow('no signature', 'malformed', 400, {
    body: ({ protected: head, payload }) => ({ protected: head, payload }),
  }),
  acmeRow(
    'a signature that is empty',
    'unauthorized',
    401,
    { body: (signed) => ({ ...signed, signature: '' }) },
    'denied',
  ),
  acmeRow(
    'a signature of another request',
    'unauthorized',
    401,
    {
      body: (signed) => ({
        ...signed,
        payload: Buffer.from('{"termsOfServiceAgreed":true}').toString('base64url'),
      }),
    },
    'denied',
  ),
  acmeRow('the algorithm "none"', 'badSignatureAlgorithm', 400, { header: { alg: 'none' } }),
  acmeRow('a symmetric algorithm', 'badSignatureAlgorithm', 400, { header: { alg: 'HS256' } }),
  acmeRow('both a key and an account', 'malformed', 400, { header: { kid: `${BASE}/account/x` } }),
  acmeRow('neither a key nor an account', 'malformed', 400, { header: { jwk: undefined } }),
  acmeRow(
    'an account by a name that was guessed',
    'accountDoesNotExist',
    400,
    { header: { jwk: undefined, kid: `${BASE}/account/00000000-0000-4000-8000-000000000000` } },
    'denied',
  ),
  acmeRow(
    'an account of another server',
    'malformed',
    400,
    { header: { jwk: undefined, kid: 'https://evil.test/account/x' } },
    'denied',
  ),
  acmeRow('a private key', 'badPublicKey', 400, {
    header: { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', d: 'AA' } },
  }),
  acmeRow('a symmetric key', 'badPublicKey', 400, { header: { jwk: { kty: 'oct', k: 'AAAA' } } }),
  acmeRow('a key that is no point of its curve', 'badPublicKey', 400, {
    header: { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } },
  }),
  acmeRow(
    'an order without an account',
    'malformed',
    400,
    { path: 'new-order', payload: { identifiers: [{ type: 'dns', value: 'a.example.com' }] } },
    'denied',
  ),
  acmeRow('headers that nobody signed', 'malformed', 400, {
    body: (signed) => ({ ...signed, header: { kid: 'x' } }),
  }),
  acmeRow('several signatures', 'malformed', 400, { body: (signed) => ({ ...signed, signatures: [] }) }),
  acmeRow('a form of a browser', 'malformed', 415, { headers: ['Content-Type: text/plain'] }),
  acmeRow('200 kB', 'malformed', 400, { payload: { contact: ['a'.repeat(200_000)] } }, 'oversized'),
  acmeRow('a revocation of nothing', 'malformed', 400, { path: 'revoke-cert', payload: {} }),
  {
    name: 'no JSON',
    class: 'malformed',
    path: 'pki/acme/new-account',
    as: 'nobody',
    headers: TYPE,
    body: 'nonsense',
    status: 400,
    says: 'urn:ietf:params:acme:error:malformed',
    problem: true,
  },
  {
    name: 'the directory of a role that is not there',
    class: 'malformed',
    method: 'GET',
    path: 'pki/roles/never/acme/directory',
    as: 'nobody',
    status: 400,
    says: 'urn:ietf:params:acme:error:malformed',
    problem: true,
  },
  {
    name: 'the list of accounts',
    class: 'denied',
    method: 'GET',
    path: 'pki/acme/account/x',
    as: 'nobody',
    status: 405,
    says: 'unsupported operation',
  },
  {
    name: 'the keys that bind accounts',
    class: 'denied',
    method: 'LIST',
    path: 'pki/eab',
    as: 'nobody',
    status: 403,
    says: 'permission denied',
  },
];
