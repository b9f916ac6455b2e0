/**
 * The Kubernetes API over HTTP, as `Kube` (kube.ts) promises it. Source: the API conventions of Kubernetes; Status
 * objects become coded failures here and nowhere else.
 */

import { readFileSync } from 'node:fs';
import { utf8 } from '../base/bytes.ts';
import type { Code } from '../base/codes.ts';
import { Failure, failure, isFailure } from '../base/errors.ts';
import { backoff, sleep } from '../base/retry.ts';
import { checkConfig, type KubeConfig } from './config.ts';
import { type HttpAnswer, KubeHttp } from './http.ts';
import type {
  ApplyOptions,
  Kube,
  KubeObject,
  List,
  ListOptions,
  Meta,
  Name,
  Resource,
  WatchEvent,
} from './kube.ts';

export { inClusterConfig, type KubeConfig, parseKubeconfig } from './config.ts';

const TIMEOUT_MS = 30_000;
const LIST_LIMIT = 256 * 1024 * 1024;
const LINE_LIMIT = 32 * 1024 * 1024;
const RETRIES = 3;
/** How long a projected token is used before its file is looked at again. */
const TOKEN_AGE_MS = 60_000;

export interface KubeClient extends Kube {
  readonly server: string;
  /** The kinds of one group and version, as discovery lists them; empty where the server has no such group. */
  resources(groupVersion: string, signal?: AbortSignal): Promise<readonly Resource[]>;
  close(): void;
}

export interface KubeOptions {
  readonly userAgent?: string;
  readonly readFile?: (path: string) => string;
  readonly timeoutMs?: number;
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
  /** For messages: "GET secrets team/app". */
  readonly what: string;
  /** The bodies hold secrets: what a Status says of them is told by field and reason alone. */
  readonly guarded: boolean;
}

/** @throws Failure kube.config */
export function createKube(config: KubeConfig, options: KubeOptions = {}): KubeClient {
  const http = new KubeHttp(checkConfig(config));
  const credentials = createCredentials(config, options.readFile ?? ((path) => readFileSync(path, 'utf8')));
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;

  const headers = (sent: Sent): Record<string, string> => {
    const token = credentials.token();
    return {
      accept: sent.accept ?? 'application/json',
      'user-agent': options.userAgent ?? 'holdfast',
      ...(sent.body === undefined ? {} : { 'content-type': sent.contentType ?? 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
  };

  /** One request; waits and asks again where the server says so, and a read whose connection was cut. */
  const send = async (sent: Sent): Promise<HttpAnswer> => {
    const request = {
      method: sent.method,
      path: sent.path + encodeQuery(sent.query),
      body: sent.body === undefined ? undefined : utf8(JSON.stringify(sent.body)),
      signal: sent.signal,
    };
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await http.send({ ...request, headers: headers(sent) }, timeoutMs, LIST_LIMIT);
        if (answer.status >= 200 && answer.status < 300) return answer;
        if (answer.status === 401 && attempt === 0 && credentials.refresh()) continue;
        throw statusFailure(answer, sent);
      } catch (error) {
        const last = attempt >= RETRIES;
        const asked = isFailure(error) ? error.retryAfterMs : undefined;
        const limited =
          isFailure(error, 'kube.limited') || (isFailure(error, 'kube.unavailable') && asked !== undefined);
        const cut = sent.method === 'GET' && isFailure(error, 'kube.unreachable') && attempt === 0;
        if (last || !(limited || cut)) throw error;
        if (asked !== undefined && asked > 10_000) throw error;
        await sleep(Math.max(asked ?? 0, backoff(attempt, { baseMs: 100, maxMs: 2000 })), sent.signal);
      }
    }
  };

  const one = async (sent: Sent, resource: Resource): Promise<KubeObject> =>
    typed(asObject((await send(sent)).body, http.address), resource);

  const change = (
    method: string,
    name: Name,
    rest: Partial<Sent>,
    subresource: string | undefined,
  ): Promise<KubeObject> => {
    const path = subresource === undefined ? itemPath(name) : `${itemPath(name)}/${segment(subresource)}`;
    return one(
      { method, path, what: describe(method, name), guarded: isGuarded(name.resource), ...rest },
      name.resource,
    );
  };

  return {
    server: http.address,

    async get(name, signal) {
      const sent = {
        method: 'GET',
        path: itemPath(name),
        what: describe('GET', name),
        guarded: false,
        signal,
      };
      try {
        return await one(sent, name.resource);
      } catch (error) {
        if (isFailure(error, 'kube.missing')) return undefined;
        throw error;
      }
    },

    async list(asked, signal) {
      const answer = await send({
        method: 'GET',
        path: collectionPath(asked.resource, asked.namespace),
        query: {
          labelSelector: asked.labelSelector,
          fieldSelector: asked.fieldSelector,
          limit: asked.limit,
          continue: asked.continue,
        },
        what: `LIST ${asked.resource.plural}`,
        guarded: false,
        signal,
        ...(asked.metadataOnly === true
          ? { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json' }
          : {}),
      });
      return readList(answer.body, asked, http.address);
    },

    watch: (asked, signal) => watch(http, headers, asked, signal, timeoutMs),

    create(name, object, given = {}) {
      const query = { fieldManager: given.manager };
      if (given.subresource !== undefined)
        return change('POST', name, { body: object, query }, given.subresource);
      const path = collectionPath(name.resource, name.namespace);
      return change('POST', name, { path, body: object, query }, undefined);
    },

    update: (name, object, given = {}) =>
      change('PUT', name, { body: object, query: { fieldManager: given.manager } }, given.subresource),

    patch: (name, body, given = {}) =>
      change(
        'PATCH',
        name,
        { body, contentType: 'application/merge-patch+json', query: { fieldManager: given.manager } },
        given.subresource,
      ),

    apply: (name, body, given: ApplyOptions) =>
      change(
        'PATCH',
        name,
        {
          body,
          contentType: 'application/apply-patch+yaml',
          query: { fieldManager: given.manager, force: given.force ?? false },
        },
        given.subresource,
      ),

    async delete(name, preconditions) {
      try {
        await send({
          method: 'DELETE',
          path: itemPath(name),
          body: {
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            ...(preconditions === undefined ? {} : { preconditions }),
          },
          what: describe('DELETE', name),
          guarded: isGuarded(name.resource),
        });
        return true;
      } catch (error) {
        if (isFailure(error, 'kube.missing')) return false;
        if (preconditions !== undefined && isFailure(error, 'kube.conflict')) return false;
        throw error;
      }
    },

    async resources(groupVersion, signal) {
      const core = !groupVersion.includes('/');
      const path = `${core ? '/api' : '/apis'}/${groupVersion.split('/').map(segment).join('/')}`;
      const sent: Sent = {
        method: 'GET',
        path,
        what: `discovery of ${groupVersion}`,
        guarded: false,
        signal,
      };
      try {
        return readDiscovery(groupVersion, asObject((await send(sent)).body, http.address));
      } catch (error) {
        if (isFailure(error, 'kube.missing')) return [];
        throw error;
      }
    },

    close: () => http.close(),
  };
}

/** A stream of events from a version on. Ends quietly when the server ends it, as it does every few minutes. */
async function* watch(
  http: KubeHttp,
  headers: (sent: Sent) => Record<string, string>,
  asked: ListOptions & { readonly resourceVersion: string },
  signal: AbortSignal,
  timeoutMs: number,
): AsyncIterable<WatchEvent> {
  const seconds = 300 + Math.floor(Math.random() * 300);
  const sent: Sent = {
    method: 'GET',
    path: collectionPath(asked.resource, asked.namespace),
    what: `WATCH ${asked.resource.plural}`,
    guarded: false,
    signal,
    ...(asked.metadataOnly === true
      ? { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json' }
      : {}),
  };
  const query = encodeQuery({
    watch: true,
    allowWatchBookmarks: true,
    resourceVersion: asked.resourceVersion,
    labelSelector: asked.labelSelector,
    fieldSelector: asked.fieldSelector,
    timeoutSeconds: seconds,
  });
  const request = { method: 'GET', path: sent.path + query, headers: headers(sent), signal };
  try {
    const lines = http.lines(request, timeoutMs, (seconds + 30) * 1000, LINE_LIMIT, (answer) => {
      if (answer.status < 200 || answer.status >= 300) throw statusFailure(answer, sent);
      return true;
    });
    for await (const line of lines) {
      const event = readEvent(line, asked, http.address, sent);
      yield event;
      if (event.type === 'GONE') return;
    }
  } catch (error) {
    if (!isFailure(error, 'kube.gone')) throw error;
    yield { type: 'GONE' };
  }
}

function readEvent(line: string, asked: ListOptions, address: string, sent: Sent): WatchEvent {
  const event = parseObject(line, address);
  const object = event['object'];
  if (!isObject(object)) throw failure('kube.garbage', { address, reason: 'an event has no object' });
  switch (event['type']) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event['type'], object: shaped(object, asked, address) };
    case 'BOOKMARK': {
      const resourceVersion = metaOf(object, address).resourceVersion;
      if (resourceVersion === undefined)
        throw failure('kube.garbage', { address, reason: 'a bookmark has no version' });
      return { type: 'BOOKMARK', resourceVersion };
    }
    case 'ERROR': {
      const status = Number(object['code']) || 500;
      if (status === 410 || object['reason'] === 'Expired' || object['reason'] === 'Gone')
        return { type: 'GONE' };
      throw statusFailure({ status, headers: {}, body: Buffer.from(JSON.stringify(object)) }, sent);
    }
    default:
      throw failure('kube.garbage', { address, reason: 'an event is of no known type' });
  }
}

function readList(body: Buffer, asked: ListOptions, address: string): List {
  const list = asObject(body, address);
  const meta = list['metadata'];
  const items = list['items'] ?? [];
  if (!Array.isArray(items) || !isObject(meta))
    throw failure('kube.garbage', { address, reason: 'a list has no items' });
  const next = meta['continue'];
  return {
    items: items.map((item) => {
      if (!isObject(item))
        throw failure('kube.garbage', { address, reason: 'an item of a list is no object' });
      return shaped(item, asked, address);
    }),
    resourceVersion: String(meta['resourceVersion'] ?? ''),
    ...(typeof next === 'string' && next !== '' ? { continue: next } : {}),
  };
}

/** The kinds in an APIResourceList, subresources left out. */
function readDiscovery(groupVersion: string, list: Bag): readonly Resource[] {
  const [group, version] = groupVersion.includes('/') ? groupVersion.split('/') : ['', groupVersion];
  const resources = Array.isArray(list['resources']) ? list['resources'] : [];
  return resources.flatMap((entry: unknown) =>
    isObject(entry) &&
    typeof entry['name'] === 'string' &&
    !entry['name'].includes('/') &&
    typeof entry['kind'] === 'string'
      ? [
          {
            group: group ?? '',
            version: version ?? '',
            plural: entry['name'],
            kind: entry['kind'],
            namespaced: entry['namespaced'] === true,
          },
        ]
      : [],
  );
}

type Bag = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Bag =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseObject(text: string, address: string): Bag {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw failure('kube.garbage', { address, reason: `${text.length} characters that are not JSON` });
  }
  if (!isObject(value)) throw failure('kube.garbage', { address, reason: 'the body is not a JSON object' });
  return value;
}

const asObject = (body: Buffer, address: string): Bag => parseObject(body.toString('utf8'), address);

function metaOf(object: Bag, address: string): Meta {
  const meta = object['metadata'];
  if (!isObject(meta)) throw failure('kube.garbage', { address, reason: 'an object has no metadata' });
  return meta as unknown as Meta;
}

const apiVersionOf = (resource: Resource): string =>
  resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;

/** Items of a list come without their kind; ours always have it. A TokenRequest keeps its own kind. */
function typed(object: Bag, resource: Resource): KubeObject {
  const { apiVersion, kind } = object;
  return {
    ...object,
    apiVersion: typeof apiVersion === 'string' ? apiVersion : apiVersionOf(resource),
    kind: typeof kind === 'string' ? kind : resource.kind,
    metadata: (isObject(object['metadata']) ? object['metadata'] : { name: '' }) as unknown as Meta,
  };
}

/** An item as it was asked for: a server that ignores `as=PartialObjectMetadata` must not fill our memory with secrets. */
function shaped(object: Bag, asked: ListOptions, address: string): KubeObject {
  const metadata = metaOf(object, address);
  if (typeof metadata.name !== 'string')
    throw failure('kube.garbage', { address, reason: 'an object has no name' });
  if (asked.metadataOnly === true)
    return { apiVersion: apiVersionOf(asked.resource), kind: asked.resource.kind, metadata };
  return typed(object, asked.resource);
}

const isGuarded = (resource: Resource): boolean => resource.group === '' && resource.plural === 'secrets';

const describe = (verb: string, name: Name): string =>
  `${verb} ${name.resource.plural} ${name.namespace === undefined ? '' : `${name.namespace}/`}${name.name}`;

function segment(text: string): string {
  if (text === '' || text === '.' || text === '..' || text.includes('/'))
    throw failure('kube.invalid', { request: 'request', reason: 'a name is empty or holds a slash' });
  return encodeURIComponent(text);
}

function collectionPath(resource: Resource, namespace: string | undefined): string {
  const root = resource.group === '' ? '/api' : `/apis/${segment(resource.group)}`;
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${segment(namespace)}` : '';
  return `${root}/${segment(resource.version)}${scope}/${segment(resource.plural)}`;
}

function itemPath(name: Name): string {
  if (name.resource.namespaced && name.namespace === undefined)
    throw failure('kube.invalid', { request: describe('request', name), reason: 'no namespace is named' });
  return `${collectionPath(name.resource, name.namespace)}/${segment(name.name)}`;
}

function encodeQuery(query: Sent['query']): string {
  const parts = Object.entries(query ?? {}).flatMap(([key, value]) =>
    value === undefined || value === '' ? [] : [`${key}=${encodeURIComponent(String(value))}`],
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

const BY_STATUS: Readonly<Record<number, Code>> = {
  401: 'kube.denied',
  403: 'kube.denied',
  404: 'kube.missing',
  409: 'kube.conflict',
  410: 'kube.gone',
  429: 'kube.limited',
};

function statusFailure(answer: Pick<HttpAnswer, 'status' | 'headers' | 'body'>, sent: Sent): Failure {
  const { status } = answer;
  let said: Bag = {};
  try {
    const parsed: unknown = JSON.parse(answer.body.toString('utf8'));
    if (isObject(parsed) && parsed['kind'] === 'Status') said = parsed;
  } catch {
    // Not a Status: a proxy's page. The number is all that can be trusted of it.
  }
  const exists = status === 409 && said['reason'] === 'AlreadyExists';
  const code: Code = exists
    ? 'kube.exists'
    : (BY_STATUS[status] ?? (status >= 500 ? 'kube.unavailable' : 'kube.invalid'));
  const header = Number(answer.headers['retry-after']);
  const details = isObject(said['details']) ? said['details'] : {};
  const seconds = Number.isFinite(header) ? header : Number(details['retryAfterSeconds'] ?? Number.NaN);
  return new Failure(
    code,
    {
      request: sent.what,
      reason: reasonOf(said, details, sent.guarded && code === 'kube.invalid') || `status ${status}`,
    },
    Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: Math.min(seconds, 3600) * 1000 } : {},
  );
}

function reasonOf(said: Bag, details: Bag, guarded: boolean): string {
  if (!guarded) return tame(said['message']);
  // A Status may quote what it could not read: of a Secret only fields and reasons are passed on.
  const causes = Array.isArray(details['causes']) ? details['causes'].filter(isObject) : [];
  const parts = causes.map((cause) =>
    [tame(cause['field']), tame(cause['reason'])].filter((t) => t !== '').join(' '),
  );
  return [tame(said['reason']), ...parts].filter((part) => part !== '').join('; ');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what a log would act on is what is removed
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f]+/g;
const tame = (value: unknown): string =>
  typeof value === 'string' ? value.replace(UNPRINTABLE, ' ').trim().slice(0, 1000) : '';

/** The bearer token to send, read again from its file as the kubelet rotates it. */
function createCredentials(config: KubeConfig, readFile: (path: string) => string) {
  let held: { readonly token: string; readonly at: number } | undefined;
  const { tokenFile } = config;
  return {
    token(): string | undefined {
      if (config.token !== undefined || tokenFile === undefined) return config.token;
      if (held !== undefined && performance.now() - held.at < TOKEN_AGE_MS) return held.token;
      try {
        held = { token: readFile(tokenFile).trim(), at: performance.now() };
      } catch {
        throw failure('kube.config', { reason: `the token file ${tokenFile} cannot be read` });
      }
      return held.token;
    },
    /** Forgets a token that the server refused; true where another look at the file may help. */
    refresh(): boolean {
      if (config.token !== undefined || tokenFile === undefined) return false;
      held = undefined;
      return true;
    },
  };
}
