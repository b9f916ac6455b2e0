/**
 * The embedded Kubernetes API: what `kubectl`, our operator and our server's Kubernetes auth method need, for laptops and
 * tests. It trusts its medium and the process it runs in, and nobody on the wire: TLS under its own authority, bearer
 * tokens, RBAC. It is no production control plane: nothing here schedules or runs anything.
 */

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, isIP } from 'node:net';
import { stringify as toYaml } from 'yaml';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import {
  type Authority,
  createAuthority,
  type Issued,
  issueCertificate,
  type Subject,
} from '../crypto/certificate.ts';
import type { Backend } from '../storage/storage.ts';
import { builtInRules } from './builtinrules.ts';
import { Collector } from './collector.ts';
import { aggregated, groupList, groupOf, groupsOf, resourceList, VERSION, versionsOf } from './discovery.ts';
import { eventAlias } from './eventkinds.ts';
import { builtInKinds } from './kinds.ts';
import { KindSet } from './kindset.ts';
import { asText, fields, meta, type Obj } from './objects.ts';
import { openApiDocument, openApiIndex } from './openapi.ts';
import { bootstrapBindings, bootstrapRoles, decide, refusalText, type User } from './rbac.ts';
import { Registry, type WriteOptions } from './registry.ts';
import { readAccept, readBody, readTarget, readUrl } from './request.ts';
import { type Answer, Resources } from './resources.ts';
import { type ServiceAddress, serviceAddress } from './services.ts';
import { forbidden, noRoute, Refusal } from './status.ts';
import { ObjectStore } from './store.ts';
import { ISSUER, Tokens } from './tokens.ts';
import { startWatch } from './watch.ts';

export interface ApiServerOptions {
  readonly backend: Backend;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Further names that the certificate is good for. */
  readonly names?: readonly string[];
}

export interface ApiServer {
  readonly url: string;
  readonly port: number;
  /** The authority that clients trust. */
  readonly caPem: string;
  /** A token of the group system:masters. */
  readonly adminToken: string;
  /** A kubeconfig of the administrator, as YAML; its one context is "holdfast". */
  kubeconfig(): string;
  /** Where a Service of this API is to be found, by host names such as "vault.vault.svc". */
  resolveService(host: string, port: number): ServiceAddress | undefined;
  /** A server certificate of the same authority, for what stands beside this API. */
  issue(subject: Subject): Promise<Issued>;
  /** Resolves when garbage collection and its kin have nothing left to do. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

const BOOT: WriteOptions = { manager: 'kube-apiserver', dryRun: false, validation: 'Ignore', warn: () => {} };
const NAMESPACES: readonly string[] = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
/** What anybody may ask, as Kubernetes' `system:public-info-viewer`. */
const PUBLIC: readonly string[] = ['healthz', 'livez', 'readyz', 'version'];

/** Starts the API. What it made for itself the first time (authority, keys, token) is in the backend from then on. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { backend, clock, log } = options;
  const store = await ObjectStore.open(backend, log);
  const authority = JSON.parse(
    await store.keep('authority', async () =>
      JSON.stringify(await createAuthority('holdfast kubernetes', clock.now())),
    ),
  ) as Authority;
  const adminToken = await store.keep('admin-token', async () => randomBytes(32).toString('hex'));
  const signingKey = await store.keep('signing-key', async () =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString(),
  );
  const tokens = new Tokens(store, clock, adminToken, signingKey);
  const kinds = new KindSet(builtInKinds(builtInRules, eventAlias), store);
  const registry = new Registry(store, kinds, clock);
  const collector = new Collector(registry, tokens, authority.certificate, log);
  const stopCollector = collector.start();
  await furnish(registry);

  const certificate = await issueCertificate(authority, {
    names: [
      'localhost',
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      'kubernetes.default.svc.cluster.local',
      ...(options.names ?? []),
      ...(isIP(options.host) === 0 ? [options.host] : []),
    ],
    ips: [...new Set(['127.0.0.1', '::1', ...(isIP(options.host) === 0 ? [] : [options.host])])],
    now: clock.now(),
  });
  const front = new Front(registry, tokens, clock, log);
  const server = createServer(
    { cert: certificate.certificate, key: certificate.key, minVersion: 'TLSv1.2', maxHeaderSize: 32 * 1024 },
    (request, response) => front.serve(request, response),
  );
  server.headersTimeout = 15_000;
  server.requestTimeout = 60_000;
  server.keepAliveTimeout = 90_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  const host = ['0.0.0.0', '::'].includes(options.host) ? '127.0.0.1' : options.host;
  const url = `https://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  return {
    url,
    port,
    caPem: authority.certificate,
    adminToken,
    kubeconfig: () => kubeconfig(url, authority.certificate, adminToken),
    resolveService: (name, servicePort) => serviceAddress(store, name, servicePort),
    issue: (subject) => issueCertificate(authority, { now: clock.now(), ...subject }),
    settled: () => collector.settled(),
    async close() {
      front.close();
      server.close();
      server.closeAllConnections();
      await stopCollector();
    },
  };
}

async function furnish(registry: Registry): Promise<void> {
  const ensure = async (plural: string, group: string, object: Obj): Promise<void> => {
    const view = registry.kinds.find(group, 'v1', plural);
    const name = asText(meta(object)['name']) ?? '';
    if (view !== undefined && registry.store.get(registry.place(view, '', name)) === undefined)
      await registry.create(view, '', object, BOOT);
  };
  const rbac = 'rbac.authorization.k8s.io';
  await Promise.all([
    ...NAMESPACES.map((name) =>
      ensure('namespaces', '', fields({ apiVersion: 'v1', kind: 'Namespace', metadata: fields({ name }) })),
    ),
    ...bootstrapRoles.map((role) => ensure('clusterroles', rbac, role)),
    ...bootstrapBindings.map((binding) => ensure('clusterrolebindings', rbac, binding)),
  ]);
}

function kubeconfig(server: string, ca: string, token: string): string {
  const name = 'holdfast';
  return toYaml({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

/** The wire: authentication, routes that are no resources, status codes and headers. */
class Front {
  readonly #registry: Registry;
  readonly #resources: Resources;
  readonly #tokens: Tokens;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #watches = new Set<() => void>();

  constructor(registry: Registry, tokens: Tokens, clock: Clock, log: Log) {
    this.#registry = registry;
    this.#resources = new Resources(registry, tokens, clock, log);
    this.#tokens = tokens;
    this.#clock = clock;
    this.#log = log;
  }

  close(): void {
    for (const end of this.#watches) end();
  }

  serve(request: IncomingMessage, response: ServerResponse): void {
    const warnings: string[] = [];
    this.#handle(request, response, warnings).catch((error: unknown) => {
      if (response.headersSent) {
        response.destroy();
        return;
      }
      const refusal =
        error instanceof Refusal
          ? error
          : new Refusal('InternalError', 'Internal error occurred; the cause is in the log');
      if (!(error instanceof Refusal))
        this.#log.error('a request to the embedded Kubernetes API failed', { error });
      if (refusal.reason === 'RequestEntityTooLarge') response.setHeader('connection', 'close');
      this.#send(response, refusal.code, refusal.toStatus(), warnings);
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse, warnings: string[]): Promise<void> {
    const method = request.method ?? 'GET';
    const { segments, query } = readUrl(request.url ?? '/');
    if (segments.length === 1 && PUBLIC.includes(segments[0] ?? '') && method === 'GET') {
      if (segments[0] === 'version') this.#send(response, 200, VERSION, []);
      else response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
      return;
    }
    const user = this.#impersonated(await this.#authenticate(request.headers.authorization), request);
    const target = readTarget(segments);
    if (target === undefined) {
      this.#path(request, response, segments, user);
      return;
    }
    const answer = await this.#resources.answer({
      method,
      target,
      query,
      user,
      agent: request.headers['user-agent'] ?? '',
      contentType: request.headers['content-type'],
      wanted: readAccept(request.headers.accept),
      body: () => readBody(request),
      warn: (text) => warnings.push(text),
    });
    this.#answer(response, answer, warnings);
  }

  #answer(response: ServerResponse, answer: Answer, warnings: readonly string[]): void {
    if ('body' in answer) {
      this.#send(response, answer.code, answer.body, warnings);
      return;
    }
    const end = startWatch(response, this.#registry, answer.view, this.#clock, answer.watch);
    this.#watches.add(end);
    response.on('close', () => this.#watches.delete(end));
  }

  async #authenticate(header: string | undefined): Promise<User> {
    const token = /^Bearer ([\x21-\x7e]{1,16384})$/i.exec(header ?? '')?.[1];
    const found = token === undefined ? undefined : await this.#tokens.authenticate(token);
    if (found === undefined || typeof found === 'string') throw new Refusal('Unauthorized', 'Unauthorized');
    return found.user;
  }

  /** The user that the caller asks to act as, where it may. @throws Refusal Forbidden */
  #impersonated(caller: User, request: IncomingMessage): User {
    const name = request.headers['impersonate-user'];
    const given = request.headers['impersonate-group'];
    if (name === undefined && given === undefined) return caller;
    const groups = (Array.isArray(given) ? given : (given ?? '').split(','))
      .map((one) => one.trim())
      .filter((one) => one !== '');
    const asked = [['users', String(name ?? '')], ...groups.map((group) => ['groups', group])] as const;
    for (const [resource = '', one = ''] of asked) {
      const ask = { verb: 'impersonate', group: '', resource, namespace: '', name: one };
      if (one === '' || !decide(this.#registry.store, caller, ask).allowed) {
        throw forbidden({ group: '', plural: resource }, one, refusalText(caller, ask));
      }
    }
    const [, account] = /^system:serviceaccount:([^:]+):[^:]+$/.exec(String(name)) ?? [];
    const own = account === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${account}`];
    return { name: String(name), uid: '', groups: [...groups, ...own, 'system:authenticated'], extra: {} };
  }

  /** Discovery and the other paths that are no resources. */
  #path(request: IncomingMessage, response: ServerResponse, segments: readonly string[], user: User): void {
    const path = `/${segments.join('/')}`;
    const ask = {
      verb: (request.method ?? 'GET').toLowerCase(),
      group: '',
      resource: '',
      namespace: '',
      name: '',
      path,
    };
    if (!decide(this.#registry.store, user, ask).allowed) {
      const refusal = forbidden({ group: '', plural: '' }, '', refusalText(user, ask));
      throw new Refusal('Forbidden', refusal.message.trim(), fields({}));
    }
    if (request.method !== 'GET') throw noRoute();
    const kinds = this.#registry.kinds;
    const discovery = /;as=APIGroupDiscoveryList/.test(request.headers.accept ?? '');
    const [root, first, second, third] = segments;
    if (segments.length === 1 && (root === 'api' || root === 'apis') && discovery) {
      const version = /v=v2(?!beta)/.test(request.headers.accept ?? '') ? 'v2' : 'v2beta1';
      const body = aggregated(
        kinds,
        root === 'api' ? [''] : groupsOf(kinds),
        `apidiscovery.k8s.io/${version}`,
      );
      response.setHeader('vary', 'Accept');
      this.#send(
        response,
        200,
        body,
        [],
        `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
      );
      return;
    }
    const body = this.#document(root, first, second, third, segments);
    if (body === undefined) throw noRoute();
    this.#send(response, 200, body, []);
  }

  #document(
    root: string | undefined,
    first: string | undefined,
    second: string | undefined,
    third: string | undefined,
    segments: readonly string[],
  ): Obj | undefined {
    const { kinds, store } = this.#registry;
    const n = segments.length;
    if (root === 'api') {
      if (n === 1) return fields({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] });
      return n === 2 ? resourceList(kinds, '', first ?? '') : undefined;
    }
    if (root === 'apis') {
      if (n === 1) return groupList(kinds);
      if (first === undefined || versionsOf(kinds, first).length === 0) return undefined;
      return n === 2 ? groupOf(kinds, first) : n === 3 ? resourceList(kinds, first, second ?? '') : undefined;
    }
    if (root === 'openapi' && first === 'v3') {
      if (n === 2) return openApiIndex(kinds, store);
      if (second === 'api' && n === 4) return openApiDocument(kinds, store, '', third ?? '');
      if (second === 'apis' && n === 5) return openApiDocument(kinds, store, third ?? '', segments[4] ?? '');
      return undefined;
    }
    if (root === '.well-known' && first === 'openid-configuration' && n === 2) {
      return fields({
        issuer: ISSUER,
        jwks_uri: `${ISSUER}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
      });
    }
    if (root === 'openid' && first === 'v1' && second === 'jwks' && n === 3)
      return JSON.parse(JSON.stringify(this.#tokens.jwks())) as Obj;
    return undefined;
  }

  #send(
    response: ServerResponse,
    code: number,
    body: Obj,
    warnings: readonly string[],
    type = 'application/json',
  ): void {
    const text = JSON.stringify(body);
    if (warnings.length > 0)
      response.setHeader(
        'warning',
        warnings.slice(0, 20).map((one) => `299 - ${JSON.stringify(one.replace(/[^\x20-\x7e]/g, '?'))}`),
      );
    response.writeHead(code, {
      'content-type': type,
      'cache-control': 'no-cache, private',
      'content-length': Buffer.byteLength(text),
    });
    response.end(text);
  }
}
