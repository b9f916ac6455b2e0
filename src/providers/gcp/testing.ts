/**
 * Google for tests: Secret Manager and what gives tokens (OAuth, the security token service, identity bindings of GKE,
 * impersonation) as far as the provider uses them, behind a real socket. It verifies each signature, audience and checksum,
 * answers no request without a token that it gave, and refuses what the real ones refuse: names that are none, a second
 * creation, an old etag, versions that are disabled.
 */

import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32c } from '../../crypto/crc32c.ts';
import type { GoogleService } from '../../gcp/endpoints.ts';

type Body = Readonly<Record<string, unknown>>;

export interface FakeCall {
  readonly service: string;
  readonly method: string;
  /** Without the version of the API. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: Body;
  readonly headers: IncomingHttpHeaders;
  /** Whose token it showed, or '' where it showed none. */
  readonly who: string;
}

export interface FakeVersion {
  data: Buffer;
  state: 'ENABLED' | 'DISABLED' | 'DESTROYED';
  createTime: string;
}
export interface FakeSecret {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  versions: FakeVersion[];
  etag: string;
  /** What it was created with. */
  created: Body;
}

/** An answer in place of the fake's own. */
export interface FakeRefusal {
  readonly status: number;
  readonly code: string;
  readonly message?: string;
  readonly retryAfter?: string;
}

export interface FakeGoogle {
  readonly url: string;
  readonly port: number;
  readonly calls: FakeCall[];
  /** By "projects/p/secrets/s". */
  readonly secrets: Map<string, FakeSecret>;
  /** Kubernetes tokens that the pools of GKE and of federation believe, and whose they are. */
  readonly subjects: Map<string, { readonly who: string; readonly audience: string }>;
  /** Who may impersonate whom: "whom" by "who". */
  readonly impersonations: Map<string, string>;
  between: ((call: FakeCall) => FakeRefusal | undefined) | undefined;
  tokenSeconds: number;
  /** Where a service is led to. */
  endpoint(service: GoogleService): string;
  /** The JSON of a service account's key, as Google's console gives it. */
  key(email?: string): string;
  /** What a JWT claims that Google's public keys verify, as whoever is shown it looks; undefined for any other. */
  verified(jwt: string): Body | undefined;
  close(): Promise<void>;
}

class Refused extends Error {
  readonly refusal: FakeRefusal;
  constructor(status: number, code: string, message = 'no') {
    super(code);
    this.refusal = { status, code, message };
  }
}

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const parsed = (part: string): Body => JSON.parse(Buffer.from(part, 'base64url').toString());
/** Signed by a key that only Google has. */
function signedByGoogle(claims: string): string {
  const head = Buffer.from(JSON.stringify({ alg: 'RS256', typ: 'JWT', kid: 'google' })).toString('base64url');
  const signed = `${head}.${Buffer.from(claims).toString('base64url')}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), pair.privateKey).toString('base64url')}`;
}
const sum = (bytes: Uint8Array): string => String(crc32c(bytes));
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** A secret, as if somebody had made it; each value is a version, older ones first. */
export function plant(
  fake: FakeGoogle,
  path: string,
  values: readonly (string | Uint8Array)[],
  given: Partial<Pick<FakeSecret, 'labels' | 'annotations'>> = {},
): FakeSecret {
  const had = fake.secrets.get(path);
  const secret = had ?? { labels: {}, annotations: {}, versions: [], etag: '"1"', created: {}, ...given };
  for (const value of values) addVersion(secret, Buffer.from(value));
  fake.secrets.set(path, secret);
  return secret;
}

function addVersion(secret: FakeSecret, data: Buffer): void {
  const createTime = new Date(1_700_000_000_000 + secret.versions.length * 1000).toISOString();
  secret.versions.push({ data, state: 'ENABLED', createTime });
}

/** Starts it on loopback. */
export async function startFakeGoogle(): Promise<FakeGoogle> {
  const accounts = new Map<string, KeyObject>();
  const tokens = new Map<string, { readonly who: string; readonly ends: number }>();
  const server = createServer((request, response) => {
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
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const fake: FakeGoogle = {
    url,
    port,
    calls: [],
    secrets: new Map(),
    subjects: new Map(),
    impersonations: new Map(),
    between: undefined,
    tokenSeconds: 3600,
    endpoint: (service) => `${url}/${service}`,
    key(email = 'eso@p.iam.gserviceaccount.com') {
      accounts.set(email, pair.publicKey);
      return JSON.stringify({
        type: 'service_account',
        project_id: 'p',
        client_email: email,
        private_key_id: 'k1',
        private_key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        token_uri: 'https://evil.example.com/token',
      });
    },
    verified(jwt) {
      const [head = '', claims = '', signature = ''] = jwt.split('.');
      const { alg, kid } = parsed(head);
      const said = parsed(claims);
      const key =
        kid === 'k1' ? accounts.get(text(said['sub'])) : kid === 'google' ? pair.publicKey : undefined;
      const bytes = Buffer.from(signature, 'base64url');
      const isSigned =
        alg === 'RS256' &&
        key !== undefined &&
        verify('sha256', Buffer.from(`${head}.${claims}`), key, bytes);
      return isSigned ? said : undefined;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  function handle(method: string, target: string, headers: IncomingHttpHeaders, sent: string) {
    const { pathname, searchParams } = new URL(target, url);
    const [, service = '', ...rest] = pathname.split('/');
    const isForm = text(headers['content-type']).startsWith('application/x-www-form-urlencoded');
    try {
      const body: Body = isForm
        ? Object.fromEntries(new URLSearchParams(sent))
        : sent === ''
          ? {}
          : JSON.parse(sent);
      const call: FakeCall = {
        service,
        method,
        path: decodeURIComponent(rest.join('/').replace(/^v1\//, '')),
        query: Object.fromEntries(searchParams),
        body,
        headers,
        who: bearer(headers),
      };
      fake.calls.push(call);
      const instead = fake.between?.(call);
      if (instead !== undefined) return refusal(instead);
      if (service === 'computeMetadata') return machine(call);
      return { status: 200, headers: {}, body: JSON.stringify(answer(call)) };
    } catch (error) {
      if (error instanceof Refused) return refusal(error.refusal);
      return refusal({ status: 500, code: 'INTERNAL', message: String(error) });
    }
  }

  /** Google's API wraps its errors; what gives tokens writes them as OAuth does. */
  function refusal({ status, code, message = 'no', retryAfter }: FakeRefusal) {
    const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
    const body = /^[a-z_]+$/.test(code)
      ? { error: code, error_description: message }
      : { error: { code: status, status: code, message } };
    return { status, headers, body: JSON.stringify(body) };
  }

  /** What Google's machines are told of themselves, by the metadata service. */
  function machine({ path, query, headers }: FakeCall) {
    const who = { sub: '117', email: 'operator@p.iam.gserviceaccount.com', aud: query['audience'] };
    const facts: Record<string, string> = {
      'project/project-id': 'p',
      'instance/attributes/cluster-location': 'europe-west3',
      'instance/attributes/cluster-name': 'c',
      'instance/service-accounts/default/identity':
        query['format'] === 'full' ? signedByGoogle(JSON.stringify(who)) : '',
      'instance/service-accounts/default/token': JSON.stringify(give('operator')),
    };
    const body = facts[path];
    const flavor = { 'metadata-flavor': 'Google', 'content-type': 'application/text' };
    if (headers['metadata-flavor'] !== 'Google') return { status: 403, headers: flavor, body: '' };
    const isToken = path.endsWith('/token');
    return {
      status: body === undefined ? 404 : 200,
      headers: isToken ? { ...flavor, 'content-type': 'application/json' } : flavor,
      body: body ?? '',
    };
  }

  function bearer(headers: IncomingHttpHeaders): string {
    const shown = text(headers.authorization).replace(/^Bearer /, '');
    const token = tokens.get(shown);
    return token === undefined || token.ends < Date.now() ? '' : token.who;
  }

  function give(who: string) {
    const token = `ya29.canary-${randomBytes(16).toString('hex')}`;
    tokens.set(token, { who, ends: Date.now() + fake.tokenSeconds * 1000 });
    return { access_token: token, token_type: 'Bearer', expires_in: fake.tokenSeconds };
  }

  function answer(call: FakeCall): unknown {
    switch (call.service) {
      case 'oauth2':
        return byAssertion(call);
      case 'securetoken':
      case 'sts':
        return exchanged(call);
      case 'iamcredentials':
        return impersonated(call);
      default:
        return manager(call);
    }
  }

  /** RFC 7523, as Google takes it: signed by a key that it knows, for itself, for an hour at most. */
  function byAssertion({ path, body }: FakeCall): unknown {
    if (path !== 'token' || body['grant_type'] !== 'urn:ietf:params:oauth:grant-type:jwt-bearer')
      throw new Refused(400, 'unsupported_grant_type');
    const [head = '', claims = '', signature = ''] = text(body['assertion']).split('.');
    const { alg } = JSON.parse(Buffer.from(head, 'base64url').toString());
    const { iss, aud, scope, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    const key = accounts.get(iss);
    const isSigned =
      alg === 'RS256' &&
      key !== undefined &&
      verify('sha256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url'));
    const isForUs = aud === 'https://oauth2.googleapis.com/token' && scope === SCOPE;
    const isNow = Math.abs(iat - Date.now() / 1000) < 60 && exp - iat <= 3600;
    if (!isSigned || !isForUs || !isNow) throw new Refused(400, 'invalid_grant', 'Invalid JWT Signature.');
    return give(iss);
  }

  function exchanged({ service, path, body }: FakeCall): unknown {
    const isGke = service === 'securetoken';
    if (path !== (isGke ? 'identitybindingtoken' : 'token')) throw new Refused(404, 'NOT_FOUND');
    const subject = text(body['subject_token']);
    const known = subject.startsWith('%7B') ? awsSubject(subject) : fake.subjects.get(subject);
    const isExchange = body['grant_type'] === 'urn:ietf:params:oauth:grant-type:token-exchange';
    if (!isExchange || known === undefined || known.audience !== body['audience'])
      throw new Refused(400, 'invalid_grant', 'canary: the subject token');
    return { ...give(known.who), issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' };
  }

  /** A signed request of AWS that tells who signed it; here by its access key alone. */
  function awsSubject(subject: string) {
    const { url: at, headers } = JSON.parse(decodeURIComponent(subject)) as {
      readonly url: string;
      readonly headers: readonly { readonly key: string; readonly value: string }[];
    };
    const header = (name: string) => headers.find(({ key }) => key === name)?.value ?? '';
    const accessKey = /Credential=(\w+)\//.exec(header('authorization'))?.[1] ?? '';
    if (!at.startsWith('https://sts.eu-west-1.amazonaws.com')) return undefined;
    return { who: `aws:${accessKey}`, audience: header('x-goog-cloud-target-resource') };
  }

  function impersonated({ path, who, body }: FakeCall): unknown {
    const [, whom, verb] =
      /^projects\/-\/serviceAccounts\/([^/]+):(generateAccessToken|signJwt)$/.exec(path) ?? [];
    if (who === '') throw new Refused(401, 'UNAUTHENTICATED');
    if (whom === undefined || fake.impersonations.get(who) !== whom)
      throw new Refused(403, 'PERMISSION_DENIED', `canary: ${who} may not be ${whom}`);
    if (verb === 'signJwt') return { keyId: 'google', signedJwt: signedByGoogle(text(body['payload'])) };
    return {
      accessToken: give(whom).access_token,
      expireTime: new Date(Date.now() + fake.tokenSeconds * 1000).toISOString(),
    };
  }

  function found(path: string): FakeSecret {
    const secret = fake.secrets.get(path);
    if (secret === undefined) throw new Refused(404, 'NOT_FOUND', `Secret [${path}] not found.`);
    return secret;
  }

  const shown = (name: string, { labels, annotations, etag }: FakeSecret) => ({
    name: name.replace(/^projects\/[^/]+/, 'projects/4711'),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    etag,
  });

  function manager(call: FakeCall): unknown {
    const { method, path, query, body, who } = call;
    if (who === '') throw new Refused(401, 'UNAUTHENTICATED', 'no token');
    const [, name = '', verb = ''] = /^(.*?)(?::(\w+))?$/.exec(path) ?? [];
    const version = /^(.+)\/versions\/([\w-]+)$/.exec(name);
    if (verb === 'access' && version !== null) return access(found(version[1] ?? ''), name, version[2] ?? '');
    if (verb === 'addVersion') return add(found(name), name, body);
    const versions = /^(.+)\/versions$/.exec(name);
    if (versions !== null) return listVersions(found(versions[1] ?? ''), versions[1] ?? '', query);
    if (/^projects\/[^/]+(?:\/locations\/[^/]+)?\/secrets$/.test(name))
      return method === 'POST' ? create(name, query['secretId'] ?? '', body) : list(name, query);
    const secret = found(name);
    const etag = method === 'DELETE' ? query['etag'] : text(body['etag']);
    if (method !== 'GET' && etag !== secret.etag) throw new Refused(400, 'FAILED_PRECONDITION', 'etag');
    if (method === 'DELETE') {
      fake.secrets.delete(name);
      return {};
    }
    if (method === 'PATCH') {
      if (query['updateMask'] !== 'labels,annotations') throw new Refused(400, 'INVALID_ARGUMENT', 'mask');
      Object.assign(secret, checkedNames(body), { etag: `"${Number(secret.etag.slice(1, -1)) + 1}"` });
    }
    return shown(name, secret);
  }

  function access(secret: FakeSecret, name: string, id: string): unknown {
    const number = id === 'latest' ? secret.versions.length : Number(id);
    const version = secret.versions[number - 1];
    if (version === undefined)
      throw new Refused(404, 'NOT_FOUND', `Secret Version [${name}] not found or has no versions.`);
    if (version.state !== 'ENABLED')
      throw new Refused(400, 'FAILED_PRECONDITION', `Secret Version [${name}] is in ${version.state} state.`);
    return {
      name: name.replace(/^projects\/[^/]+/, 'projects/4711').replace(/[^/]+$/, String(number)),
      payload: { data: version.data.toString('base64'), dataCrc32c: sum(version.data) },
    };
  }

  function add(secret: FakeSecret, name: string, body: Body): unknown {
    const { data, dataCrc32c } = (body['payload'] ?? {}) as Record<string, string>;
    const bytes = Buffer.from(data ?? '', 'base64');
    if (bytes.length === 0 || bytes.length > 65_536) throw new Refused(400, 'INVALID_ARGUMENT', 'payload');
    if (dataCrc32c !== sum(bytes)) throw new Refused(400, 'INVALID_ARGUMENT', 'checksum');
    addVersion(secret, bytes);
    return { name: `${name}/versions/${secret.versions.length}` };
  }

  function listVersions({ versions }: FakeSecret, name: string, query: FakeCall['query']): unknown {
    const all = versions
      .map((one, at) => ({
        name: `${name}/versions/${at + 1}`,
        state: one.state,
        createTime: one.createTime,
      }))
      .filter(({ state }) => query['filter'] !== 'state:ENABLED' || state === 'ENABLED')
      .reverse();
    return { versions: page(all, query), ...next(all, query) };
  }

  function list(parent: string, query: FakeCall['query']): unknown {
    const words = (query['filter'] ?? '').split(' ').filter((word) => word !== '');
    const all = [...fake.secrets]
      .filter(([name]) => name.startsWith(`${parent}/`))
      .filter(([name, { labels }]) =>
        words.every((word) => {
          const label = /^labels\.([^=]+)=(.*)$/.exec(word);
          // As Google: a filter by name looks for a part of it.
          return label === null
            ? name.includes(word.replace(/^name:/, ''))
            : labels[label[1] ?? ''] === label[2];
        }),
      )
      .map(([name, secret]) => shown(name, secret));
    const secrets = page(all, query);
    return { ...(secrets.length === 0 ? {} : { secrets }), ...next(all, query), totalSize: all.length };
  }

  function create(parent: string, id: string, body: Body): unknown {
    const name = `${parent}/${id}`;
    if (!/^[A-Za-z0-9_-]{1,255}$/.test(id)) throw new Refused(400, 'INVALID_ARGUMENT', 'secret id');
    if (fake.secrets.has(name)) throw new Refused(409, 'ALREADY_EXISTS', `Secret [${name}] already exists.`);
    if ((body['replication'] === undefined) !== parent.includes('/locations/'))
      throw new Refused(400, 'INVALID_ARGUMENT', 'replication');
    const secret: FakeSecret = { ...checkedNames(body), versions: [], etag: '"1"', created: body };
    fake.secrets.set(name, secret);
    return shown(name, secret);
  }

  /** Labels have few letters, annotations more; neither has slashes. */
  function checkedNames(body: Body): Pick<FakeSecret, 'labels' | 'annotations'> {
    const labels = (body['labels'] ?? {}) as Record<string, string>;
    const annotations = (body['annotations'] ?? {}) as Record<string, string>;
    const areLabels = Object.entries(labels).every(
      ([key, value]) => /^[a-z][a-z0-9_-]{0,62}$/.test(key) && /^[a-z0-9_-]{0,63}$/.test(value),
    );
    const areAnnotations = Object.keys(annotations).every((key) =>
      /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(key),
    );
    if (!areLabels || !areAnnotations) throw new Refused(400, 'INVALID_ARGUMENT', 'labels, annotations');
    return { labels, annotations };
  }

  /** Small pages, whatever was asked for, so that none goes unread. */
  const page = <T>(all: readonly T[], { pageToken = '0' }: FakeCall['query']): readonly T[] =>
    all.slice(Number(pageToken), Number(pageToken) + 2);
  const next = (all: readonly unknown[], { pageToken = '0' }: FakeCall['query']) =>
    Number(pageToken) + 2 < all.length ? { nextPageToken: String(Number(pageToken) + 2) } : {};

  return fake;
}

/** A Kubernetes token that a pool believes. */
export const subjectToken = (of: string): string =>
  `canary.${createHash('sha256').update(of).digest('base64url')}.x`;
