// A Kubernetes API in a process of its own, with many ExternalSecrets in it: bundled and forked by `../operator.mjs`, which
// tells it by messages what to do. It counts what the operator asks, by verb and kind.

import https from 'node:https';
import { startApiServer } from '../../src/apiserver/server.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createKube } from '../../src/kube/client.ts';
import { crds } from '../../src/operator/api/crds.ts';
import {
  CLUSTER_EXTERNAL_SECRETS,
  CLUSTER_SECRET_STORES,
  EXTERNAL_SECRETS,
  NAMESPACES,
  SECRET_STORES,
  SECRETS,
} from '../../src/operator/api/resources.ts';
import { MemoryBackend } from '../../src/storage/memory.ts';

const AT_ONCE = 16;
const OPERATOR = 'holdfast';
const DEFINITIONS = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

const counts = new Map();
let newest = 0;
count();
const api = await startApiServer({
  backend: new MemoryBackend(),
  host: '127.0.0.1',
  port: 0,
  clock: systemClock,
  log: silentLog,
});
const kube = createKube({ server: api.url, ca: api.caPem, token: api.adminToken }, { userAgent: 'bench' });
for (const object of crds())
  await kube.apply({ resource: DEFINITIONS, name: object.metadata.name }, object, {
    manager: 'bench',
    force: true,
  });
await served();
/** "namespace/name" of a Secret -> when it was first seen. */
const seen = new Map();
const waiting = new Map();
void follow();

const work = {
  /** Stores, their tokens and ExternalSecrets; nothing is looked after yet. */
  async make({ members, stores, server }) {
    for (const store of stores) {
      const { namespace, name } = store;
      await create(NAMESPACES, undefined, namespaceOf(namespace));
      await create(SECRETS, namespace, tokenIn(namespace, store.token));
      await create(SECRET_STORES, namespace, {
        apiVersion: 'external-secrets.io/v1',
        kind: 'SecretStore',
        metadata: { name, namespace },
        spec: { provider: vaultAt(server, {}) },
      });
    }
    const rest = [...members];
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let member = rest.pop(); member !== undefined; member = rest.pop()) await put(member);
      }),
    );
  },

  /** One store for the whole cluster and so many namespaces, for which a ClusterExternalSecret is not made yet. */
  async makeNamespaces({ count: wanted, server }) {
    await create(NAMESPACES, undefined, namespaceOf('operator'));
    await create(SECRETS, 'operator', tokenIn('operator', 'token'));
    await create(CLUSTER_SECRET_STORES, undefined, {
      apiVersion: 'external-secrets.io/v1',
      kind: 'ClusterSecretStore',
      metadata: { name: 'store' },
      spec: { provider: vaultAt(server, { namespace: 'operator' }) },
    });
    for (let at = 0; at < wanted; at++) await create(NAMESPACES, undefined, namespaceOf(`team-${at}`));
  },

  /** One secret in all of these namespaces, refreshed each interval. */
  async makeShared({ interval }) {
    await create(CLUSTER_EXTERNAL_SECRETS, undefined, {
      apiVersion: 'external-secrets.io/v1',
      kind: 'ClusterExternalSecret',
      metadata: { name: 'shared' },
      spec: {
        namespaceSelectors: [{ matchExpressions: [{ key: 'team', operator: 'Exists' }] }],
        externalSecretSpec: specOf({ kind: 'ClusterSecretStore', store: 'store', key: 'shared', interval }),
      },
    });
  },

  /** Creates one and waits for its Secret. Gives the milliseconds, or nothing after the limit. */
  async arrival({ member, limitMs }) {
    const key = `${member.namespace}/${member.name}`;
    const arrived = new Promise((resolve) => {
      waiting.set(key, resolve);
      setTimeout(resolve, limitMs);
    });
    const began = performance.now();
    await put(member);
    const at = await arrived;
    return at === undefined ? undefined : at - began;
  },

  /** Waits until so many Secrets of ExternalSecrets are there. Gives how many there are at the limit. */
  async secrets({ count: wanted, limitMs }) {
    const end = performance.now() + limitMs;
    while (seen.size < wanted && performance.now() < end) await pause(20);
    return seen.size;
  },

  /** Resolves when it has begun to ask and then asked nothing for this long; gives the milliseconds to the last request. */
  async quiet({ forMs, limitMs }) {
    const since = Date.now();
    const end = since + limitMs;
    while ((newest < since || Date.now() - newest < forMs) && Date.now() < end) await pause(50);
    return newest - since;
  },

  /** How many ExternalSecrets are Ready, and how many Secrets are not as their ExternalSecrets say. */
  async standing() {
    const { items } = await kube.list({ resource: EXTERNAL_SECRETS });
    const ready = items.filter((item) =>
      item.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    ).length;
    return { all: items.length, ready };
  },

  async counts() {
    const now = Object.fromEntries(counts);
    counts.clear();
    const { user, system } = process.cpuUsage();
    return { counts: now, cpuSeconds: (user + system) / 1e6 };
  },
};

process.on('message', async ({ id, name, given }) => {
  try {
    process.send({ id, result: await work[name](given) });
  } catch (error) {
    process.send({ id, error: error instanceof Error ? error.stack : String(error) });
  }
});
process.on('disconnect', () => process.exit());
process.send({ kubeconfig: api.kubeconfig() });

function put({ namespace, name, store, key, interval }) {
  return create(EXTERNAL_SECRETS, namespace, {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name, namespace },
    spec: { ...specOf({ kind: 'SecretStore', store, key, interval }), target: { name } },
  });
}

function specOf({ kind, store, key, interval }) {
  return {
    refreshInterval: interval,
    secretStoreRef: { kind, name: store },
    data: [{ secretKey: 'value', remoteRef: { key, property: 'value' } }],
  };
}

function namespaceOf(name) {
  const labels = name.startsWith('team-') ? { team: name } : {};
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

function tokenIn(namespace, token) {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'token', namespace },
    data: { token: Buffer.from(token).toString('base64') },
  };
}

/** @param where the namespace of the token, for a store that is in none */
function vaultAt(server, where) {
  const auth = { tokenSecretRef: { name: 'token', key: 'token', ...where } };
  return { vault: { server, path: 'secret', version: 'v2', auth } };
}

function create(resource, namespace, object) {
  const { name } = object.metadata;
  return kube.create({ resource, name, ...(namespace === undefined ? {} : { namespace }) }, object);
}

/** Every request of the operator, before it is answered; watches once, when they begin. */
function count() {
  const { emit } = https.Server.prototype;
  https.Server.prototype.emit = function (event, ...rest) {
    if (event === 'request' && rest[0].headers['user-agent']?.startsWith(OPERATOR)) {
      const [path, query = ''] = rest[0].url.split('?');
      const kind =
        /^\/(?:api|apis\/[^/]+)\/[^/]+(?:\/namespaces\/[^/]+(?=\/))?\/([^/]+)(?:\/[^/]+(\/[^/]+)?)?$/.exec(
          path,
        );
      const what = `${query.includes('watch=') ? 'WATCH' : rest[0].method} ${kind?.[1] ?? path}${kind?.[2] ?? ''}`;
      counts.set(what, (counts.get(what) ?? 0) + 1);
      newest = Date.now();
    }
    return emit.call(this, event, ...rest);
  };
}

/** A definition is served a moment after it was taken. */
async function served() {
  for (const resource of [EXTERNAL_SECRETS, SECRET_STORES])
    for (;;) {
      const known = await kube.list({ resource }).then(
        () => true,
        () => false,
      );
      if (known) break;
      await pause(20);
    }
}

async function follow() {
  const controller = new AbortController();
  const { resourceVersion } = await kube.list({ resource: SECRETS });
  for (;;) {
    try {
      for await (const event of kube.watch(
        { resource: SECRETS, metadataOnly: true, resourceVersion },
        controller.signal,
      )) {
        if (event.type !== 'ADDED' || event.object.metadata.name === 'token') continue;
        const { namespace, name } = event.object.metadata;
        const key = `${namespace}/${name}`;
        const at = performance.now();
        seen.set(key, at);
        waiting.get(key)?.(at);
        waiting.delete(key);
      }
    } catch (error) {
      process.stderr.write(`the watch of the benchmark ended: ${error}\n`);
    }
    await pause(50);
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
