/**
 * The Kubernetes API over HTTP, as `Kube` (kube.ts) promises it: what is sent, what is sent again. Source: the API
 * conventions of Kubernetes.
 */

import { readFileSync } from 'node:fs';
import { utf8 } from '../base/bytes.ts';
import { isFailure } from '../base/errors.ts';
import { backoff, sleep } from '../base/retry.ts';
import { readDiscovery, readEvent, readList, readObject } from './answers.ts';
import { checkConfig, type KubeConfig } from './config.ts';
import { createCredentials } from './credentials.ts';
import { type HttpAnswer, KubeHttp } from './http.ts';
import type { ApplyOptions, Kube, KubeObject, ListOptions, Name, Resource, WatchEvent } from './kube.ts';
import { type Asked, statusFailure } from './status.ts';
import { collectionPath, describe, encodeQuery, itemPath, type Query, segment } from './urls.ts';

export { inClusterConfig, type KubeConfig, parseKubeconfig } from './config.ts';

const TIMEOUT_MS = 30_000;
const LIST_LIMIT = 256 * 1024 * 1024;
const LINE_LIMIT = 32 * 1024 * 1024;
const RETRIES = 3;

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
  /** Told of each request that ended, streams aside; `status` is undefined where no answer came. */
  readonly ended?: (
    request: { readonly method: string; readonly path: string },
    status: number | undefined,
    ms: number,
  ) => void;
}

interface Sent extends Asked {
  readonly method: string;
  readonly path: string;
  readonly query?: Query;
  readonly body?: object;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
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
      const began = performance.now();
      const ended = (status: number | undefined) => options.ended?.(sent, status, performance.now() - began);
      try {
        const answer = await http
          .send({ ...request, headers: headers(sent) }, timeoutMs, LIST_LIMIT)
          .catch((error: unknown) => {
            ended(undefined);
            throw error;
          });
        ended(answer.status);
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
    readObject((await send(sent)).body, resource, http.address);

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
        return readDiscovery(groupVersion, (await send(sent)).body, http.address);
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

const isGuarded = (resource: Resource): boolean => resource.group === '' && resource.plural === 'secrets';
