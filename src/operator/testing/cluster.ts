/** A cluster, a store and an operator that run in a test, and ways to wait for what must come. */

import type { Clock } from '../../base/clock.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import type { KubeObject } from '../../kube/kube.ts';
import { createOperator } from '../operator.ts';
import type { Operator, OperatorOptions } from '../options.ts';
import { createRendering } from '../rendering.ts';
import { FakeKube } from './kube.ts';
import { FakeStore, fakeProvider } from './provider.ts';

export interface World {
  readonly kube: FakeKube;
  readonly store: FakeStore;
  readonly operator: Operator;
  stop(): Promise<void>;
}

export function startWorld(
  given: {
    readonly kube?: FakeKube;
    readonly store?: FakeStore;
    readonly clock?: Clock;
    readonly push?: boolean;
  } & Partial<Omit<OperatorOptions, 'kube' | 'clock'>> = {},
): World {
  const { kube = new FakeKube(), store = new FakeStore(), clock = systemClock, push = true, ...rest } = given;
  const operator = createOperator({
    kube,
    providers: [fakeProvider(store) as OperatorOptions['providers'][number]],
    clock,
    log: silentLog,
    random: () => 0.5,
    resolve: (host, port) => ({ host, port }),
    envOf: createRendering({ seed: new Uint8Array(32) }),
    ...(push ? { subscribe: store.subscribe } : {}),
    ...rest,
  });
  const stopping = new AbortController();
  const running = operator.start(stopping.signal);
  return {
    kube,
    store,
    operator,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Waits until `look` gives something. A test that waits in vain says for what. */
export async function eventually<T>(what: string, look: () => T | undefined | false, ms = 8000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const secretStore = (name: string, namespace: string, spec: object = {}): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'SecretStore',
  metadata: { name, namespace },
  spec: { provider: { fake: spec } },
});

export const clusterStore = (name: string, spec: object = {}, more: object = {}): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'ClusterSecretStore',
  metadata: { name },
  spec: { provider: { fake: spec }, ...more },
});

export const externalSecret = (name: string, namespace: string, spec: object): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'ExternalSecret',
  metadata: { name, namespace },
  spec: { secretStoreRef: { name: 'store' }, refreshInterval: '1h', ...spec },
});

export const one = (secretKey: string, key: string, property: string): object => ({
  data: [{ secretKey, remoteRef: { key, property } }],
});

/** The data of a Secret as text. */
export function secretData(
  kube: FakeKube,
  namespace: string,
  name: string,
): Record<string, string> | undefined {
  const data = kube.read('Secret', namespace, name)?.['data'] as Record<string, string> | undefined;
  return data === undefined
    ? undefined
    : Object.fromEntries(
        Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]),
      );
}

export function readyOfObject(kube: FakeKube, kind: string, namespace: string | undefined, name: string) {
  const status = kube.read(kind, namespace, name)?.['status'] as
    | { conditions?: { type: string; status: string; reason: string; message: string }[] }
    | undefined;
  return status?.conditions?.find((condition) => condition.type === 'Ready');
}
