/** A namespace of a test platform as a team has it: an account, a store, secrets in KV under its own folder, and kubectl. */

import type { KubeObject, Resource } from '../../src/kube/kube.ts';
import { EXTERNAL_SECRETS, SECRETS } from '../../src/operator/api/resources.ts';
import { type Kubectl, kubectl } from './kubectl.ts';
import { eventually, type TestPlatform } from './platform.ts';

export interface Condition {
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface Team {
  readonly namespace: string;
  readonly kubectl: Kubectl;
  /** Writes `secret/NAMESPACE/PATH`. */
  put(path: string, data: Readonly<Record<string, unknown>>): Promise<void>;
  /** Deletes it with all its versions. */
  remove(path: string): Promise<void>;
  /** `spec` of an ExternalSecret over the team's store, which this applies; rights for what it reads come along. */
  externalSecret(name: string, spec: Readonly<Record<string, unknown>>, version?: string): Promise<void>;
  secret(name: string): Promise<KubeObject | undefined>;
  /** Waits until the Secret holds exactly these texts. */
  holds(name: string, data: Readonly<Record<string, string>>): Promise<KubeObject>;
  gone(name: string): Promise<void>;
  condition(name: string): Promise<Condition>;
  /** Waits until the Ready condition of the ExternalSecret says so: `STATUS REASON: MESSAGE`. */
  says(name: string, text: RegExp): Promise<void>;
}

/** One entry of `spec.data`: this key of the Secret is that property of the path. */
export const entry = (
  secretKey: string,
  key: string,
  property: string,
): Readonly<Record<string, unknown>> => ({
  secretKey,
  remoteRef: { key, property },
});

/** `spec` of a store that logs in at the cluster's server as a service account, by a role of its `auth/kubernetes`. */
export const byAccount = (role: string, name: string): Readonly<Record<string, unknown>> => ({
  provider: {
    vault: {
      server: 'http://vault.vault-system.svc.cluster.local:8200',
      path: 'secret',
      version: 'v2',
      auth: {
        kubernetes: { mountPath: 'kubernetes', role, serviceAccountRef: { name, audiences: ['vault'] } },
      },
    },
  },
});

export async function makeTeam(platform: TestPlatform, namespace: string): Promise<Team> {
  const control = kubectl(platform.env);
  const applied = new Map<string, KubeObject>();
  const store: KubeObject = {
    apiVersion: 'external-secrets.io/v1',
    kind: 'SecretStore',
    metadata: { name: 'vault', namespace },
    spec: byAccount(`eso-${namespace}-role`, 'external-secrets'),
  };
  const get = (resource: Resource, name: string): Promise<KubeObject | undefined> =>
    platform.kube.get({ resource, namespace, name });
  const secret = (name: string): Promise<KubeObject | undefined> => get(SECRETS, name);
  const condition = async (name: string): Promise<Condition> => {
    const status = (await get(EXTERNAL_SECRETS, name))?.['status'] as
      | { readonly conditions?: readonly (Condition & { readonly type: string })[] }
      | undefined;
    return status?.conditions?.find(({ type }) => type === 'Ready') ?? {};
  };
  await control.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, store);

  return {
    namespace,
    kubectl: control,
    secret,
    condition,
    async put(path, data) {
      await platform.root.request('PUT', `secret/data/${namespace}/${path}`, { body: { data } });
    },
    async remove(path) {
      await platform.root.request('DELETE', `secret/metadata/${namespace}/${path}`);
    },
    async externalSecret(name, spec, version = 'v1') {
      const object: KubeObject = {
        apiVersion: `external-secrets.io/${version}`,
        kind: 'ExternalSecret',
        metadata: { name, namespace },
        spec: { refreshInterval: '1h', secretStoreRef: { name: 'vault', kind: 'SecretStore' }, ...spec },
      };
      applied.set(name, object);
      await platform.grant([store, ...applied.values()]);
      await control.apply(object);
    },
    async holds(name, data) {
      let seen = 'no Secret';
      return eventually(`Secret ${name} holds ${JSON.stringify(data)}`, async () => {
        const object = await secret(name);
        if (object === undefined) return undefined;
        seen = JSON.stringify(sorted(textsOf(object)));
        return seen === JSON.stringify(sorted(data)) ? object : undefined;
      }).catch(async (error: unknown) => {
        throw new Error(`${name}: ${seen}; ${JSON.stringify(await condition(name))}`, { cause: error });
      });
    },
    async gone(name) {
      await eventually(`Secret ${name} is gone`, async () => (await secret(name)) === undefined || undefined);
    },
    async says(name, text) {
      let seen = '';
      await eventually(`${name} says ${text}`, async () => {
        const { status = '', reason = '', message = '' } = await condition(name);
        seen = `${status} ${reason}: ${message}`;
        return text.test(seen) || undefined;
      }).catch((error: unknown) => {
        throw new Error(`${name} says ${seen}, not ${text}`, { cause: error });
      });
    },
  };
}

/** The data of a Secret, as texts. */
export const textsOf = (secret: KubeObject): Record<string, string> =>
  Object.fromEntries(
    Object.entries((secret['data'] ?? {}) as Record<string, string>).map(([key, text]) => [
      key,
      Buffer.from(text, 'base64').toString(),
    ]),
  );

const sorted = (texts: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1));
