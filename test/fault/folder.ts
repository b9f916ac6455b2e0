/** The least that `holdfast dev` runs on: one store and one ExternalSecret, in a folder of its own. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const EXTERNAL_SECRET = { namespace: 'fault', name: 'one', path: 'fault/one', key: 'value' } as const;

export interface Folder {
  readonly dir: string;
  /** Where `holdfast dev` keeps its state. */
  readonly home: string;
  remove(): Promise<void>;
}

export async function makeFolder(): Promise<Folder> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-fault-'));
  await mkdir(join(dir, 'manifests'));
  await writeFile(join(dir, 'config.toml'), '# The one value is drawn at random.\n');
  await writeFile(
    join(dir, 'secrets.yaml'),
    `SECRETS:\n  - { path: secret/${EXTERNAL_SECRET.path}, key: ${EXTERNAL_SECRET.key}, var: '', enc: hex, hash: none }\n`,
  );
  await writeFile(join(dir, 'manifests', 'fault.yaml'), MANIFESTS);
  return {
    dir,
    home: join(dir, '.holdfast'),
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}

const { namespace, name, path, key } = EXTERNAL_SECRET;
const MANIFESTS = `apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: { name: fault, namespace: ${namespace} }
spec:
  provider:
    vault:
      server: http://vault.vault-system.svc.cluster.local:8200
      path: secret
      version: v2
      auth:
        kubernetes:
          mountPath: kubernetes
          role: eso-${namespace}-role
          serviceAccountRef: { name: external-secrets, audiences: [vault] }
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  refreshInterval: 1h
  secretStoreRef: { kind: SecretStore, name: fault }
  target: { name: ${name}, creationPolicy: Owner }
  data:
    - secretKey: ${key}
      remoteRef: { key: ${path}, property: ${key} }
`;
