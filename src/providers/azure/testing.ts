/**
 * Azure for tests: Entra ID and a key vault as far as the provider uses them, over TLS under their real names. A vault answers
 * nobody without a token, says by its challenge who gives tokens and for what, and takes only what Entra ID gave for it; Entra
 * ID believes a secret, an assertion that a certificate signed, or a token of an issuer that it trusts.
 */

import { type JsonWebKey, KeyObject, randomBytes, verify, webcrypto, X509Certificate } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import * as x509 from '@peculiar/x509';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import { readKeyStore } from '../../crypto/pkcs12/read.ts';

type Body = Readonly<Record<string, unknown>>;

export interface FakeCall {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly body: Body;
  /** The application whose token it showed, or ''. */
  readonly who: string;
}

export interface FakeVersion {
  readonly id: string;
  tags: Record<string, string>;
  enabled: boolean;
  expires?: number;
  contentType?: string;
  value?: string;
  jwk?: JsonWebKey;
  cer?: string;
}
export type FakeKind = 'secrets' | 'keys' | 'certificates';

/** An answer in place of the fake's own. */
export interface FakeRefusal {
  readonly status: number;
  readonly code: string;
  readonly inner?: string;
  readonly retryAfter?: string;
}

export interface FakeAzure {
  readonly port: number;
  readonly ca: string;
  readonly vault: string;
  readonly tenant: string;
  readonly client: string;
  readonly secret: string;
  readonly calls: FakeCall[];
  /** Older versions first. */
  readonly objects: Readonly<Record<FakeKind, Map<string, FakeVersion[]>>>;
  readonly deleted: Readonly<Record<FakeKind, Map<string, FakeVersion[]>>>;
  /** Certificates that the application is known by, PEM. */
  readonly certificates: string[];
  /** Tokens of other issuers that the application trusts. */
  readonly assertions: Set<string>;
  /** What the challenge of the vault says that tokens are for. */
  resource: string;
  /** What tokens are given for. */
  scope: string;
  between: ((call: FakeCall) => FakeRefusal | undefined) | undefined;
  /** A token that the vault takes, for who gets it otherwise than from Entra ID. */
  give(who: string): string;
  close(): Promise<void>;
}

class Refused extends Error {
  readonly refusal: FakeRefusal;
  constructor(status: number, code: string, inner?: string) {
    super(code);
    this.refusal = { status, code, ...(inner === undefined ? {} : { inner }) };
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const VAULT = 'https://team.vault.azure.net';
export const LOGIN = 'https://login.microsoftonline.com';
const TENANT = '11111111-2222-3333-4444-555555555555';

/** A secret, as if somebody had made it; each value is a version, older ones first. */
export function plant(
  fake: FakeAzure,
  name: string,
  values: readonly string[],
  tags: Readonly<Record<string, string>> = {},
  ids: readonly string[] = [],
): FakeVersion[] {
  const versions = fake.objects.secrets.get(name) ?? [];
  for (const [at, value] of values.entries())
    versions.push({
      id: ids[at] ?? randomBytes(16).toString('hex'),
      tags: { ...tags },
      enabled: true,
      value,
    });
  fake.objects.secrets.set(name, versions);
  return versions;
}

/** Starts it on loopback, under a certificate of an authority of its own. */
export async function startFakeAzure(): Promise<FakeAzure> {
  const authority = await createAuthority('test');
  const names = ['team.vault.azure.net', 'login.microsoftonline.com'];
  const { certificate, key } = await issueCertificate(authority, { names, ips: [] });
  const tokens = new Map<string, string>();
  const server = createServer({ cert: certificate, key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const sent = Buffer.concat(chunks).toString();
      const { status, headers, body } = handle(
        request.method ?? '',
        request.url ?? '',
        request.headers,
        sent,
      );
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const none = () => ({ secrets: new Map(), keys: new Map(), certificates: new Map() });
  const fake: FakeAzure = {
    port,
    ca: authority.certificate,
    vault: VAULT,
    tenant: TENANT,
    client: 'app-1',
    secret: 'canary~secret',
    calls: [],
    objects: none(),
    deleted: none(),
    certificates: [],
    assertions: new Set(),
    resource: 'https://vault.azure.net',
    scope: 'https://vault.azure.net/.default',
    between: undefined,
    give(who) {
      const token = `canary.${randomBytes(24).toString('base64url')}`;
      tokens.set(token, who);
      return token;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  function handle(method: string, target: string, headers: IncomingHttpHeaders, sent: string) {
    const host = text(headers.host);
    const url = new URL(target, `https://${host}`);
    const isForm = text(headers['content-type']).startsWith('application/x-www-form-urlencoded');
    const body: Body = isForm
      ? Object.fromEntries(new URLSearchParams(sent))
      : sent === ''
        ? {}
        : JSON.parse(sent);
    const who = tokens.get(text(headers.authorization).replace(/^Bearer /, '')) ?? '';
    const call: FakeCall = { host, method, path: decodeURIComponent(url.pathname), body, who };
    fake.calls.push(call);
    try {
      const instead = fake.between?.(call);
      if (instead !== undefined) return refusal(instead);
      const isLogin = host === new URL(LOGIN).host;
      if (isLogin) return { status: 200, headers: {}, body: entra(call) };
      if (host !== new URL(VAULT).host) throw new Refused(400, 'BadParameter');
      if (who === '') return challenge();
      if (url.searchParams.get('api-version') !== '7.4') throw new Refused(400, 'BadParameter');
      return { status: 200, headers: {}, body: vault(call, url) };
    } catch (error) {
      if (error instanceof Refused) return refusal(error.refusal);
      return refusal({ status: 500, code: `Internal${String(error).replace(/[^A-Za-z]/g, '')}` });
    }
  }

  function refusal({ status, code, inner, retryAfter }: FakeRefusal) {
    const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
    const body = code.startsWith('AADSTS')
      ? {
          error: 'invalid_client',
          error_description: `${code}: canary sentence`,
          error_codes: [Number(code.slice(6))],
        }
      : {
          error: { code, message: 'canary', ...(inner === undefined ? {} : { innererror: { code: inner } }) },
        };
    return { status, headers, body };
  }

  const challenge = () => ({
    status: 401,
    headers: {
      'www-authenticate': `Bearer authorization="${LOGIN}/${TENANT}", resource="${fake.resource}"`,
    } as Record<string, string>,
    body: { error: { code: 'Unauthorized', message: 'no token' } },
  });

  function entra({ path, body }: FakeCall): unknown {
    const base = `${LOGIN}/${TENANT}`;
    if (path === `/${TENANT}/v2.0/.well-known/openid-configuration`)
      return {
        token_endpoint: `${base}/oauth2/v2.0/token`,
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        issuer: `${base}/v2.0`,
        jwks_uri: `${base}/discovery/v2.0/keys`,
        end_session_endpoint: `${base}/oauth2/v2.0/logout`,
      };
    if (path !== `/${TENANT}/oauth2/v2.0/token`) throw new Refused(400, 'AADSTS90002');
    if (body['client_id'] !== fake.client) throw new Refused(400, 'AADSTS700016');
    const assertion = text(body['client_assertion']);
    if (assertion === '' && body['client_secret'] !== fake.secret) throw new Refused(401, 'AADSTS7000215');
    if (
      assertion !== '' &&
      !fake.assertions.has(assertion) &&
      !isSigned(assertion, `${base}/oauth2/v2.0/token`)
    )
      throw new Refused(401, 'AADSTS700213');
    if (body['scope'] !== fake.scope) throw new Refused(400, 'AADSTS70011');
    return {
      token_type: 'Bearer',
      expires_in: 3599,
      ext_expires_in: 3599,
      access_token: fake.give(fake.client),
    };
  }

  /** An assertion that one of the application's certificates signed, for this endpoint (RFC 7523). */
  function isSigned(assertion: string, endpoint: string): boolean {
    const [head = '', claims = '', signature = ''] = assertion.split('.');
    const { alg, ...named } = JSON.parse(Buffer.from(head, 'base64url').toString());
    const { aud, iss, sub } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    const known = fake.certificates.map((pem) => new X509Certificate(pem));
    const certificate = known.find((one) => {
      const print = Buffer.from(one.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url');
      return print === named['x5t#S256'];
    });
    if (certificate === undefined || aud !== endpoint || iss !== fake.client || sub !== fake.client)
      return false;
    const bytes = Buffer.from(`${head}.${claims}`);
    const padding = alg === 'PS256' ? { padding: 6, saltLength: 32 } : {};
    return verify(
      'sha256',
      bytes,
      { key: certificate.publicKey, ...padding },
      Buffer.from(signature, 'base64url'),
    );
  }

  function vault({ method, path, body }: FakeCall, url: URL): unknown {
    const [, place = '', name = '', version = ''] = path.split('/');
    const kind = place.replace(/^deleted/, '') as FakeKind;
    if (!Object.hasOwn(fake.objects, kind)) throw new Refused(404, 'NotFound');
    if (place.startsWith('deleted')) return ofDeleted(kind, name, version);
    if (name === '') return listed(kind, url);
    switch (method) {
      case 'GET':
        return shown(kind, name, found(kind, name, version), true);
      case 'PATCH':
        return patched(kind, name, found(kind, name, version), body);
      case 'DELETE':
        return removed(kind, name);
      default:
        return added(kind, name, body);
    }
  }

  const CODES: Readonly<Record<FakeKind, string>> = {
    secrets: 'SecretNotFound',
    keys: 'KeyNotFound',
    certificates: 'CertificateNotFound',
  };

  function found(kind: FakeKind, name: string, id: string): FakeVersion {
    const versions = fake.objects[kind].get(name) ?? [];
    const version = id === '' ? versions.at(-1) : versions.find((one) => one.id === id);
    if (version === undefined) throw new Refused(404, CODES[kind]);
    if (!version.enabled && kind === 'secrets') throw new Refused(403, 'Forbidden', 'SecretDisabled');
    return version;
  }

  function shown(kind: FakeKind, name: string, version: FakeVersion, whole: boolean) {
    const { id, tags, enabled, expires, contentType, value, jwk, cer } = version;
    const at = `${VAULT}/${kind}/${name}${whole ? `/${id}` : ''}`;
    return {
      ...(kind === 'keys' ? { key: { kid: at, key_ops: ['sign', 'verify'], ...jwk } } : { id: at }),
      ...(whole && kind === 'secrets' ? { value } : {}),
      ...(kind === 'certificates' ? { cer, policy: {} } : {}),
      ...(contentType === undefined ? {} : { contentType }),
      ...(Object.keys(tags).length === 0 ? {} : { tags }),
      attributes: {
        enabled,
        created: 1_700_000_000,
        updated: 1_700_000_001,
        ...(expires === undefined ? {} : { exp: expires }),
        recoveryLevel: 'Recoverable+Purgeable',
      },
    };
  }

  /** Small pages, whatever was asked for, so that none goes unread. */
  function listed(kind: FakeKind, url: URL) {
    const all = [...fake.objects[kind]].flatMap(([name, versions]) => {
      const last = versions.at(-1);
      return last === undefined ? [] : [shown(kind, name, last, false)];
    });
    const from = Number(url.searchParams.get('$skiptoken') ?? 0);
    const isMore = from + 2 < all.length;
    return {
      value: all.slice(from, from + 2),
      nextLink: isMore ? `${VAULT}/${kind}?api-version=7.4&$skiptoken=${from + 2}` : null,
    };
  }

  function patched(kind: FakeKind, name: string, version: FakeVersion, { tags }: Body) {
    version.tags = tagsIn(tags);
    return shown(kind, name, version, true);
  }

  /** As Azure: fifteen of them, each of 256 letters at most. */
  function tagsIn(tags: unknown): Record<string, string> {
    const all = Object.entries((tags ?? {}) as Record<string, string>);
    if (all.length > 15 || all.some(([name, value]) => name.length > 256 || value.length > 256))
      throw new Refused(400, 'BadParameter');
    return Object.fromEntries(all);
  }

  function added(kind: FakeKind, name: string, body: Body) {
    if (!/^[0-9A-Za-z-]{1,127}$/.test(name)) throw new Refused(400, 'BadParameter');
    if (fake.deleted[kind].has(name)) throw new Refused(409, 'Conflict', 'ObjectIsDeletedButRecoverable');
    const { exp, enabled = true } = (body['attributes'] ?? {}) as { exp?: number; enabled?: boolean };
    const version: FakeVersion = {
      id: randomBytes(16).toString('hex'),
      tags: tagsIn(body['tags']),
      enabled,
      ...(exp === undefined ? {} : { expires: exp }),
      ...(body['contentType'] === undefined ? {} : { contentType: text(body['contentType']) }),
      ...materialOf(kind, body),
    };
    fake.objects[kind].set(name, [...(fake.objects[kind].get(name) ?? []), version]);
    return shown(kind, name, version, true);
  }

  function materialOf(kind: FakeKind, body: Body): Pick<FakeVersion, 'value' | 'jwk' | 'cer'> {
    if (kind === 'secrets') {
      if (typeof body['value'] !== 'string' || body['value'].length > 25_600)
        throw new Refused(400, 'BadParameter');
      return { value: body['value'] };
    }
    if (kind === 'keys') {
      const { d, dp, dq, qi, p, q, k, ...open } = body['key'] as JsonWebKey;
      if (open.kty !== 'RSA' && open.kty !== 'EC' && open.kty !== 'oct')
        throw new Refused(400, 'BadParameter');
      if (open.kty !== 'oct' && d === undefined) throw new Refused(400, 'BadParameter');
      return { jwk: open };
    }
    const policy = body['policy'] as { secret_props?: { contentType?: string } } | undefined;
    const type = policy?.secret_props?.contentType;
    const value = text(body['value']);
    if (type === 'application/x-pem-file') {
      if (!value.includes('-----BEGIN PRIVATE KEY-----')) throw new Refused(400, 'BadParameter');
      return { cer: new X509Certificate(value).raw.toString('base64') };
    }
    const store = readKeyStore(Buffer.from(value, 'base64'), new Uint8Array(0), () => {});
    const [first] = store.certificates;
    if (first === undefined || store.keys.length === 0) throw new Refused(400, 'BadParameter');
    return { cer: first.toString('base64') };
  }

  function removed(kind: FakeKind, name: string) {
    const versions = fake.objects[kind].get(name);
    const last = versions?.at(-1);
    if (versions === undefined || last === undefined) throw new Refused(404, CODES[kind]);
    fake.objects[kind].delete(name);
    fake.deleted[kind].set(name, versions);
    return ofDeleted(kind, name, '');
  }

  function ofDeleted(kind: FakeKind, name: string, what: string) {
    const versions = fake.deleted[kind].get(name);
    const last = versions?.at(-1);
    if (versions === undefined || last === undefined) throw new Refused(404, CODES[kind]);
    if (what === 'recover') {
      fake.deleted[kind].delete(name);
      fake.objects[kind].set(name, versions);
    }
    return { ...shown(kind, name, last, true), recoveryId: `${VAULT}/deleted${kind}/${name}` };
  }

  return fake;
}

/** The private half of a key, for tests that push it. */
export const pemOf = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1' = 'pkcs8'): string =>
  key.export({ type: type as 'pkcs8', format: 'pem' }).toString();

/** A certificate of RSA, as applications of Azure have them, and its private key; both PEM. */
export async function applicationCertificate(): Promise<{
  readonly certificate: string;
  readonly key: string;
}> {
  const keys = (await webcrypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 2048,
      publicExponent: Uint8Array.of(1, 0, 1),
    },
    true,
    ['sign', 'verify'],
  )) as webcrypto.CryptoKeyPair;
  const made = await x509.X509CertificateGenerator.createSelfSigned({ name: 'CN=app', keys }, webcrypto);
  return { certificate: `${made.toString('pem')}\n`, key: pemOf(KeyObject.from(keys.privateKey)) };
}
