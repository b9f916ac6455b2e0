/**
 * The webhook provider: secrets of anything that answers over HTTP. The store's manifest says what is asked, in templates;
 * where that may lead is judged when it is known, and no redirect is followed.
 */

import { randomBytes } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { textOf, utf8 } from '../../base/bytes.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { authorityOf } from '../../provider/authority.ts';
import type { WebRequest } from '../../provider/egress.ts';
import type { Provider, ProviderEnv, ProviderType, PushTarget, Value } from '../../provider/provider.ts';
import { answered } from './answer.ts';
import { type RemoteRef, type Requests, readTemplates, type Secrets } from './request.ts';
import { type WebhookSpec, webhookSpec } from './spec.ts';

const VALIDATE_MS = 15_000;

export const createWebhookProvider = (
  clock: Pick<Clock, 'now'> = systemClock,
): ProviderType<WebhookSpec> => ({
  name: 'webhook',
  spec: webhookSpec as unknown as ProviderType<WebhookSpec>['spec'],
  async connect(spec, env) {
    if (spec.auth?.ntlm !== undefined)
      throw failure('provider.unsupported', {
        store: env.store,
        reason: 'auth.ntlm is not supported: NTLM proves a password by RC4, MD4 and MD5',
        mend: 'Send a token in a header, and let the service, or a proxy in front of it, take that.',
      });
    const ca = await authorityOf(spec, env);
    const world = { now: () => new Date(clock.now()), random: randomBytes };
    const requests = readTemplates(spec, await secretsOf(spec, env), ca, env.store, world);
    return connected(spec, env, requests, ca);
  },
});

export const webhookProvider: ProviderType<WebhookSpec> = createWebhookProvider();

function connected(
  spec: WebhookSpec,
  env: ProviderEnv,
  requests: Requests,
  ca: string | undefined,
): Provider {
  const { store } = env;
  /** The answer's body; undefined for 404. @throws Failure dial.*, provider.read, provider.denied */
  const ask = async (request: WebRequest, key: string): Promise<Uint8Array | undefined> => {
    const { status, body } = await env.wayOut.dial(request);
    if (status === 404) return undefined;
    if (status >= 200 && status < 300) return body;
    const reason = `endpoint gave error ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
    if (status === 401 || status === 403) {
      const mend = 'Look at what the headers of the store send: the endpoint does not take it.';
      throw failure('provider.denied', { store, path: key, reason, mend });
    }
    const redirect = status >= 300 && status < 400 && status !== 304;
    const told = redirect ? `${reason}; redirects are not followed: name the final address in url` : reason;
    throw failure('provider.read', { store, path: key, reason: told });
  };
  const read = async (
    { key, version = '' }: { readonly key: string; readonly version?: string },
    property: string,
    signal: AbortSignal | undefined,
  ) => {
    const ref = { ...EMPTY, key, version, property, namespace: env.namespace() };
    const request = requests.request(spec.method ?? 'GET', ref);
    const body = await ask({ ...request, ...(signal === undefined ? {} : { signal }) }, key);
    if (body === undefined) return undefined;
    return { value: answered(body, requests.jsonPath(ref), { store, key }) };
  };

  return {
    get: (ref, options) => read(ref, '', options?.signal),
    getProperty: (ref, property, options) => read(ref, property, options?.signal),

    async validate(signal) {
      // An address that comes out of a secret is known when something is asked for.
      if (requests.origin === undefined) return 'unknown';
      await env.wayOut.dial({
        url: requests.origin,
        method: 'HEAD',
        timeoutMs: VALIDATE_MS,
        ...(ca === undefined ? {} : { ca }),
        ...(signal === undefined ? {} : { signal }),
      });
      return 'ready';
    },

    async close() {},

    async put(target, value, { onlyNew = false, secretKey = '', signal }) {
      const { key } = target;
      if (onlyNew && (await read({ key }, target.property ?? '', signal)) !== undefined) return 'kept';
      const text = textual(value, key, store);
      const ref = { ...pushRef(target, env), secretKey, [key]: text };
      const request = requests.request(spec.method ?? 'POST', ref, text);
      const body = await ask({ ...request, ...(signal === undefined ? {} : { signal }) }, key);
      if (body !== undefined) return 'written';
      throw failure('provider.push', { store, path: key, reason: 'endpoint gave error 404 Not Found' });
    },

    async delete(target, { signal }) {
      const { body: _, ...request } = requests.request('DELETE', {
        [target.key]: '',
        ...pushRef(target, env),
      });
      const body = await ask({ ...request, ...(signal === undefined ? {} : { signal }) }, target.key);
      return body === undefined ? 'absent' : 'deleted';
    },
  };
}

/** All names, so that one template can tell reading from pushing: `{{ if .remoteRef.remoteKey }}`. */
const EMPTY: RemoteRef = {
  key: '',
  version: '',
  property: '',
  namespace: '',
  remoteKey: '',
  secretKey: '',
};

const pushRef = ({ key, property = '' }: PushTarget, env: ProviderEnv): RemoteRef => ({
  ...EMPTY,
  remoteKey: key,
  property,
  namespace: env.namespace(),
});

/** @throws Failure provider.push: a request of templates is text */
function textual(value: Value, key: string, store: string): string {
  const text = textOf('bytes' in value ? value.bytes : utf8(value.json));
  if (text !== undefined) return text;
  throw failure('provider.push', {
    store,
    path: key,
    reason: 'the value is not UTF-8, and templates are text',
  });
}

/**
 * What the templates may name. A Secret says by its label that it is meant for this: else who may write a store could
 * send any Secret of the namespace anywhere.
 * @throws Failure provider.spec, operator.ref_*
 */
async function secretsOf(spec: WebhookSpec, env: ProviderEnv): Promise<Secrets> {
  const secrets = new Map<string, Map<string, Uint8Array>>();
  for (const { name, secretRef } of spec.secrets) {
    const { namespace } = secretRef;
    const { labels, data } = await env.secret({
      name: secretRef.name,
      ...(namespace === undefined ? {} : { namespace }),
    });
    const type = Object.hasOwn(labels, 'external-secrets.io/type')
      ? labels['external-secrets.io/type']
      : undefined;
    if (type !== 'webhook') {
      const reason =
        type === undefined
          ? "secret does not contain needed label 'external-secrets.io/type: webhook'. Update secret label to use it with webhook"
          : "secret type is not 'webhook'";
      throw failure('provider.spec', { store: env.store, reason: `${reason} (Secret ${secretRef.name})` });
    }
    secrets.set(name, new Map([...(secrets.get(name) ?? []), ...data]));
  }
  return secrets;
}
