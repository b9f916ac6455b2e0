/**
 * What a provider or a generator may ask of the cluster. Every reference of a manifest becomes a name here, by the one
 * rule of `resolveRef`, whoever asks.
 */

import { asFailure, failure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { nearest } from '../base/nearest.ts';
import { own } from '../base/own.ts';
import type { Kube, KubeObject, Name, Resource } from '../kube/kube.ts';
import type { WayOut } from '../provider/egress.ts';
import type { ProviderEnv } from '../provider/provider.ts';
import { CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS } from './api/resources.ts';
import { type CountCall, countedWayOut, directCall } from './observe/calls.ts';
import { resolveRef, type StoreScope } from './resolve.ts';

/** What there is for all of them. */
export interface World {
  readonly kube: Kube;
  readonly log: Log;
  readonly wayOut: WayOut;
  resolve(host: string, port: number): ReturnType<ProviderEnv['resolve']>;
  /** Told of each request to a store, by what dashboards call it. */
  readonly count?: CountCall;
}

/** For whom it asks. */
export interface Asker extends Pick<ProviderEnv, 'retry'> {
  /** As messages name it: "SecretStore cicd/cicd". */
  readonly label: string;
  readonly scope: StoreScope;
  /** The property under `spec.provider`, or the kind of generator: its requests are counted by it. */
  readonly provider?: string;
  /** A Secret or ConfigMap is about to be read, by its `materialId`; it may not be there. */
  asked?(id: string): void;
  /** It was read in this version; undefined where there is none. */
  read?(id: string, version: string | undefined): void;
}

/** A Secret or ConfigMap that is read to log in: "Secret/team/vault-token". */
export const materialId = (kind: string, namespace: string, name: string): string =>
  `${kind}/${namespace}/${name}`;

export function environmentOf(world: World, asker: Asker): ProviderEnv {
  const { kube, log, count } = world;
  const { label, scope, retry, provider = 'other' } = asker;
  const read = async (
    resource: Resource,
    ref: { readonly name: string; readonly namespace?: string },
  ): Promise<KubeObject> => {
    const what = { kind: resource.kind, name: ref.name };
    const at = resolveRef(scope, ref, what);
    const id = materialId(resource.kind, at, ref.name);
    asker.asked?.(id);
    const object = await kube.get({ resource, namespace: at, name: ref.name });
    asker.read?.(id, object?.metadata.resourceVersion);
    if (object === undefined) throw failure('operator.ref_missing', { ...what, namespace: at });
    return object;
  };
  const readKey = async (
    resource: Resource,
    ref: { readonly name: string; readonly key: string; readonly namespace?: string },
  ): Promise<string> => {
    const object = await read(resource, ref);
    const what = { kind: resource.kind, name: ref.name, namespace: object.metadata.namespace ?? '' };
    const data = (object['data'] ?? {}) as Readonly<Record<string, string>>;
    const value = own(data, ref.key);
    if (value === undefined) {
      const near = nearest(ref.key, Object.keys(data));
      throw failure('operator.ref_key', { ...what, key: ref.key, near });
    }
    return value;
  };
  return {
    store: label,
    ...(retry === undefined ? {} : { retry }),
    log: log.with({ store: label }),
    cluster: scope.namespace === undefined,
    wayOut: count === undefined ? world.wayOut : countedWayOut(world.wayOut, provider, count),
    ...(count === undefined
      ? {}
      : { called: (request, ok, ms) => count(...directCall(provider, request), ok, ms) }),
    namespace: () => resolveRef(scope, {}, { kind: 'ExternalSecret', name: 'that uses it' }),
    secret: async (ref) => {
      const object = await read(SECRETS, ref);
      const data = Object.entries((object['data'] ?? {}) as Readonly<Record<string, string>>);
      return {
        labels: object.metadata.labels ?? {},
        data: new Map(data.map(([key, text]) => [key, Buffer.from(text, 'base64')])),
      };
    },
    secretKey: async (ref) => Buffer.from(await readKey(SECRETS, ref), 'base64'),
    configMapKey: async (ref) => Buffer.from(await readKey(CONFIG_MAPS, ref)),
    serviceAccountAnnotations: async (ref) => {
      const what = { kind: 'ServiceAccount', name: ref.name };
      const at = resolveRef(scope, ref, what);
      const account = await kube.get({ resource: SERVICE_ACCOUNTS, namespace: at, name: ref.name });
      if (account === undefined) throw failure('operator.ref_missing', { ...what, namespace: at });
      return account.metadata.annotations ?? {};
    },
    serviceAccountToken: async (ref) => {
      const what = { kind: 'ServiceAccount', name: ref.name };
      const at = resolveRef(scope, ref, what);
      return tokenOf(kube, { resource: SERVICE_ACCOUNTS, namespace: at, name: ref.name }, ref);
    },
    resolve: (host, port) => world.resolve(host, port),
  };
}

/** TokenRequest (authentication.k8s.io/v1). @throws Failure operator.ref_missing, kube.* */
async function tokenOf(
  kube: Kube,
  name: Name & { readonly namespace: string },
  asked: { readonly audiences: readonly string[]; readonly expirationSeconds: number },
): Promise<string> {
  const request = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: asked.audiences, expirationSeconds: asked.expirationSeconds },
  };
  let answer: KubeObject;
  try {
    answer = await kube.create(name, request, { subresource: 'token' });
  } catch (error) {
    if (asFailure(error).kind !== 'missing') throw error;
    throw failure('operator.ref_missing', {
      kind: 'ServiceAccount',
      name: name.name,
      namespace: name.namespace,
    });
  }
  return (answer['status'] as { token?: string } | undefined)?.token ?? '';
}
