/** The line on which the operator hears of changes is dead, or what was said on it is forgotten: no change is lost by it. */

import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'vitest';
import type { KubeObject, Resource } from '../../src/kube/kube.ts';
import { EXTERNAL_SECRETS, SECRET_STORES } from '../../src/operator/api/resources.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';

const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };
const NAME = 'vault.deaf.example';

const store: KubeObject = {
  apiVersion: 'external-secrets.io/v1',
  kind: 'SecretStore',
  metadata: { name: 'deaf', namespace: 'deaf' },
  spec: {
    provider: {
      vault: {
        server: `http://${NAME}:8200`,
        path: 'secret',
        version: 'v2',
        auth: {
          kubernetes: {
            mountPath: 'kubernetes',
            role: 'eso-deaf-role',
            serviceAccountRef: { name: 'external-secrets', audiences: ['vault'] },
          },
        },
      },
    },
  },
};
const externalSecret: KubeObject = {
  apiVersion: 'external-secrets.io/v1',
  kind: 'ExternalSecret',
  metadata: { name: 'one', namespace: 'deaf' },
  spec: {
    refreshInterval: '1h',
    secretStoreRef: { kind: 'SecretStore', name: 'deaf' },
    target: { name: 'one', creationPolicy: 'Owner' },
    data: [{ secretKey: 'value', remoteRef: { key: 'deaf/one', property: 'value' } }],
  },
};

describe('an operator that does not hear', () => {
  let line: Line;
  let platform: TestPlatform;

  beforeEach(async () => {
    line = await startLine();
    platform = await startTestPlatform({
      resolve: new Map([[`${NAME}:8200`, { host: '127.0.0.1', port: line.port }]]),
      manifests: [store, externalSecret],
    });
    line.to = Number(new URL(platform.address).port);
  });
  afterEach(async () => {
    await platform?.stop();
    await line?.close();
  });

  const put = async (value: string): Promise<void> => {
    await platform.root.request('PUT', 'secret/data/deaf/one', { body: { data: { value } } });
  };
  const holds = (value: string): Promise<true> =>
    eventually(
      `the Secret holds "${value}"`,
      async () => {
        const secret = await platform.kube.get({ resource: SECRETS, namespace: 'deaf', name: 'one' });
        const data = (secret?.['data'] ?? {}) as Record<string, string>;
        return Buffer.from(data['value'] ?? '', 'base64').toString('utf8') === value ? true : undefined;
      },
      30_000,
    );
  const apply = async (): Promise<void> => {
    const manager = { manager: 'test', force: true };
    for (const [resource, object] of [
      [SECRET_STORES, store],
      [EXTERNAL_SECRETS, externalSecret],
    ] as const)
      await platform.kube.apply({ resource, namespace: 'deaf', name: object.metadata.name }, object, manager);
  };

  it('reads what changed before it could listen for the first time', async () => {
    line.deaf = true;
    await put('first');
    await apply();
    await holds('first');
    await eventually('it tried to listen', () => (line.refused > 0 ? true : undefined));
    await put('second');
    line.deaf = false;
    await holds('second');
  });

  it('reads what changed while it was cut off', async () => {
    await put('first');
    await apply();
    await holds('first');
    await eventually('it listens', () => (line.listening > 0 ? true : undefined));
    await put('second');
    await holds('second');
    line.deaf = true;
    line.cut();
    await eventually('it tried to listen again', () => (line.refused > 0 ? true : undefined));
    await put('third');
    line.deaf = false;
    await holds('third');
  });
});

interface Line {
  readonly port: number;
  to: number;
  /** Subscriptions are cut at once; everything else passes. */
  deaf: boolean;
  readonly refused: number;
  readonly listening: number;
  cut(): void;
  close(): Promise<void>;
}

/** A relay that knows a subscription when it sees one. */
async function startLine(): Promise<Line> {
  const listeners = new Set<Socket>();
  const sockets = new Set<Socket>();
  const counts = { refused: 0 };
  const server = createServer((near) => {
    sockets.add(near);
    near.on('error', () => {});
    near.on('close', () => sockets.delete(near));
    near.once('data', (first: Buffer) => {
      if (first.includes('/v1/sys/events/subscribe/')) {
        if (line.deaf) {
          counts.refused++;
          near.destroy();
          return;
        }
        listeners.add(near);
        near.once('close', () => listeners.delete(near));
      }
      const far = connect(line.to, '127.0.0.1');
      far.on('error', () => near.destroy());
      far.on('close', () => near.destroy());
      near.on('close', () => far.destroy());
      far.write(first);
      near.pipe(far).pipe(near);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  const line = {
    port: address.port,
    to: 0,
    deaf: false,
    get refused() {
      return counts.refused;
    },
    get listening() {
      return listeners.size;
    },
    cut() {
      for (const socket of listeners) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return line;
}
