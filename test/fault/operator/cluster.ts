/** A cluster with ExternalSecrets of several stores, and what is always to be true of their Secrets. */

import { type ApiServer, startApiServer } from '../../../src/apiserver/server.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { createKube, type KubeClient } from '../../../src/kube/client.ts';
import type { KubeObject, Resource } from '../../../src/kube/kube.ts';
import { crds } from '../../../src/operator/api/crds.ts';
import {
  EXTERNAL_SECRETS,
  NAMESPACES,
  SECRET_STORES,
  SECRETS,
  SERVICE_ACCOUNTS,
} from '../../../src/operator/api/resources.ts';
import { MemoryBackend } from '../../../src/storage/memory.ts';

const DEFINITIONS: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

export interface Cluster {
  readonly api: ApiServer;
  readonly kube: KubeClient;
  /** Namespaces with a SecretStore each that leads to `port`, and ExternalSecrets of it. */
  populate(given: {
    readonly port: number;
    readonly teams: number;
    readonly each: number;
    readonly interval: string;
  }): Promise<void>;
  /** In the first of these namespaces, ExternalSecrets of a key that names what issues: "database/creds/app". */
  populateIssued(key: string, count: number): Promise<void>;
  /** The user names that the Secrets of those hold: undefined where there is none. */
  issued(): Promise<readonly (string | undefined)[]>;
  /** Has some of those get something new. */
  forceIssued(only: (at: number) => boolean): Promise<void>;
  removeIssued(): Promise<void>;
  /** Has every ExternalSecret read again now, as people do it. */
  forceAll(): Promise<void>;
  /** The values of all Secrets that ExternalSecrets ask for: undefined where there is none. */
  values(): Promise<ReadonlyMap<string, string | undefined>>;
  /** Waits until all hold what the store has at this generation. @throws Error with what does not, after half a minute */
  right(generation: number, since?: number): Promise<void>;
  close(): Promise<void>;
}

const FIRST = 'team-0';

/** "every ExternalSecret right within 30 s of recovery" */
const RIGHT_MS = 30_000;

export async function startCluster(): Promise<Cluster> {
  const api = await startApiServer({
    backend: new MemoryBackend(),
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    log: silentLog,
  });
  const kube = createKube({ server: api.url, ca: api.caPem, token: api.adminToken });
  const create = (resource: Resource, namespace: string | undefined, object: KubeObject) =>
    kube.create(
      { resource, name: object.metadata.name, ...(namespace === undefined ? {} : { namespace }) },
      object,
    );
  for (const definition of crds())
    await kube.apply({ resource: DEFINITIONS, name: definition.metadata.name }, definition, {
      manager: 'test',
      force: true,
    });
  for (const resource of [EXTERNAL_SECRETS, SECRET_STORES])
    while (
      !(await kube.list({ resource }).then(
        () => true,
        () => false,
      ))
    )
      await pause(20);
  const accounts: string[] = [];
  const members: { readonly namespace: string; readonly name: string; readonly key: string }[] = [];

  const values = async (): Promise<ReadonlyMap<string, string | undefined>> => {
    const { items } = await kube.list({ resource: SECRETS });
    const held = new Map(
      items.map(({ metadata, data }) => [
        `${metadata.namespace}/${metadata.name}`,
        (data as Record<string, string> | undefined)?.['value'],
      ]),
    );
    return new Map(
      members.map(({ namespace, name }) => {
        const text = held.get(`${namespace}/${name}`);
        return [
          `${namespace}/${name}`,
          text === undefined ? undefined : Buffer.from(text, 'base64').toString(),
        ];
      }),
    );
  };

  return {
    api,
    kube,
    values,

    async populate({ port, teams, each, interval }) {
      for (let team = 0; team < teams; team++) {
        const namespace = `team-${team}`;
        await create(NAMESPACES, undefined, {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: namespace },
        });
        await create(SERVICE_ACCOUNTS, namespace, {
          apiVersion: 'v1',
          kind: 'ServiceAccount',
          metadata: { name: 'reader', namespace },
        });
        await create(SECRET_STORES, namespace, {
          apiVersion: 'external-secrets.io/v1',
          kind: 'SecretStore',
          metadata: { name: 'store', namespace },
          spec: {
            provider: {
              vault: {
                server: `http://127.0.0.1:${port}`,
                path: 'secret',
                auth: { kubernetes: { role: 'app', serviceAccountRef: { name: 'reader' } } },
              },
            },
          },
        });
        for (let at = 0; at < each; at++) {
          const name = `app-${at}`;
          const key = `${namespace}-${name}`;
          members.push({ namespace, name, key });
          await create(EXTERNAL_SECRETS, namespace, {
            apiVersion: 'external-secrets.io/v1',
            kind: 'ExternalSecret',
            metadata: { name, namespace },
            spec: {
              refreshInterval: interval,
              secretStoreRef: { name: 'store' },
              target: { name },
              data: [{ secretKey: 'value', remoteRef: { key, property: 'value' } }],
            },
          });
        }
      }
    },

    async populateIssued(key, count) {
      for (let at = 0; at < count; at++) {
        const name = `account-${at}`;
        accounts.push(name);
        await create(EXTERNAL_SECRETS, FIRST, {
          apiVersion: 'external-secrets.io/v1',
          kind: 'ExternalSecret',
          metadata: { name, namespace: FIRST },
          spec: {
            refreshInterval: '2s',
            secretStoreRef: { name: 'store' },
            target: { name },
            dataFrom: [{ extract: { key } }],
          },
        });
      }
    },

    async issued() {
      const { items } = await kube.list({ resource: SECRETS, namespace: FIRST });
      return accounts.map((name) => {
        const held = items.find(({ metadata }) => metadata.name === name);
        const text = (held?.['data'] as Record<string, string> | undefined)?.['username'];
        return text === undefined ? undefined : Buffer.from(text, 'base64').toString();
      });
    },

    async forceIssued(only) {
      for (const [at, name] of accounts.entries())
        if (only(at))
          await kube.patch(
            { resource: EXTERNAL_SECRETS, namespace: FIRST, name },
            { metadata: { annotations: { 'force-sync': String(Date.now()) } } },
          );
    },

    async removeIssued() {
      for (const name of accounts) await kube.delete({ resource: EXTERNAL_SECRETS, namespace: FIRST, name });
    },

    async forceAll() {
      const at = String(Date.now());
      for (const { namespace, name } of members)
        await kube.patch(
          { resource: EXTERNAL_SECRETS, namespace, name },
          { metadata: { annotations: { 'force-sync': at } } },
        );
    },

    async right(generation, since = Date.now()) {
      for (;;) {
        const held = await values();
        const wrong = members.filter(
          ({ namespace, name, key }) => held.get(`${namespace}/${name}`) !== `${key} ${generation}`,
        );
        if (wrong.length === 0) return;
        if (Date.now() - since > RIGHT_MS) {
          const [first] = wrong;
          const object = await kube.get({
            resource: EXTERNAL_SECRETS,
            ...(first as { namespace: string; name: string }),
          });
          throw new Error(
            `${wrong.length} of ${members.length} are not right after ${RIGHT_MS / 1000} s; ${first?.namespace}/${first?.name}: ${JSON.stringify(object?.['status'])}`,
          );
        }
        await pause(100);
      }
    },

    async close() {
      kube.close();
      await api.close();
    },
  };
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
