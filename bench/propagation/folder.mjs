// A folder for `holdfast dev` with many ExternalSecrets, one KV entry each.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes it. Gives, for each ExternalSecret, the Secret that it makes ("namespace/name") and the KV path it reads. */
export async function makeFolder(dir, { count, namespaces, server }) {
  await mkdir(join(dir, 'manifests'), { recursive: true });
  await writeFile(join(dir, 'config.toml'), '# Every value is drawn at random.\n');
  const all = Array.from({ length: count }, (_, i) => {
    const namespace = `bench-${i % namespaces}`;
    const name = `secret-${String(i).padStart(4, '0')}`;
    return { namespace, name, secret: `${namespace}/${name}`, path: `${namespace}/${name}` };
  });
  await writeFile(
    join(dir, 'secrets.yaml'),
    `SECRETS:\n${all.map(({ path }) => `  - { path: secret/${path}, key: value, var: '', enc: hex, hash: none }\n`).join('')}`,
  );
  for (let n = 0; n < namespaces; n++) {
    const namespace = `bench-${n}`;
    const members = all.filter((member) => member.namespace === namespace);
    const documents = [storeYaml(namespace, server), ...members.map(externalSecretYaml)];
    await writeFile(join(dir, 'manifests', `${namespace}.yaml`), documents.join('---\n'));
  }
  return all;
}

const storeYaml = (namespace, server) => `apiVersion: external-secrets.io/v1
kind: SecretStore
metadata:
  name: bench
  namespace: ${namespace}
  annotations:
    argocd.argoproj.io/sync-wave: "-1"
spec:
  provider:
    vault:
      server: ${server}
      path: secret
      version: v2
      auth:
        kubernetes:
          mountPath: kubernetes
          role: eso-${namespace}-role
          serviceAccountRef:
            name: external-secrets
            audiences: [vault]
`;

const externalSecretYaml = ({ namespace, name, path }) => `apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: ${name}
  namespace: ${namespace}
spec:
  refreshInterval: 1h
  secretStoreRef:
    kind: SecretStore
    name: bench
  target:
    name: ${name}
    creationPolicy: Owner
  data:
    - secretKey: value
      remoteRef:
        key: ${path}
        property: value
`;
