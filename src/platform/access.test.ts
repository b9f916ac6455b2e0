import { expect, test } from 'vitest';
import { accessOf, type Locate } from './access.ts';
import { readYaml } from './files.ts';
import { manifestsOf } from './manifests.ts';

const locate: Locate = {
  read: (key) => `secret/data/${key.replace(/^secret\//, '')}`,
  list: (folder) => `secret/metadata/${folder}/`,
};

const objects = (text: string) =>
  readYaml('m.yaml', text)
    .flatMap(manifestsOf)
    .map((m) => m.object);

const STORE = `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: s, namespace: app}
spec: {provider: {vault: {server: "http://v:8200", path: secret, auth: {kubernetes: {mountPath: kubernetes, role: custom, serviceAccountRef: {name: robot, namespace: elsewhere, audiences: [vault]}}}}}}
---
`;

test('a policy holds exactly the paths that the ExternalSecrets of its namespace name', () => {
  const access = accessOf(
    objects(`${STORE}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: a, namespace: app}
spec:
  secretStoreRef: {name: s}
  data:
    - {secretKey: x, remoteRef: {key: secret/one, property: p}}
    - {secretKey: y, remoteRef: {key: secret/one, property: q}}
  dataFrom:
    - {extract: {key: two}}
    - {find: {path: three, name: {regexp: .*}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: b, namespace: other}
spec: {secretStoreRef: {name: s}, data: [{secretKey: x, remoteRef: {key: secret/forbidden}}]}
`),
    locate,
  );
  const app = access.policies.find((p) => p.name === 'eso-app')?.text ?? '';
  expect(app.match(/path "([^"]+)"/g)).toEqual([
    'path "secret/data/one"',
    'path "secret/data/three/*"',
    'path "secret/data/two"',
    'path "secret/metadata/three/*"',
  ]);
  expect(access.policies.find((p) => p.name === 'eso-other')?.text).toBe(
    '# The manifests name no path yet.\n',
  );
});

test('a namespace has its role by convention, and the role its store names, both bound to accounts of that namespace only', () => {
  const access = accessOf(
    objects(`${STORE}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: a, namespace: app}
spec: {secretStoreRef: {name: s}, data: [{secretKey: x, remoteRef: {key: secret/one}}]}
`),
    locate,
  );
  expect(access.roles.map((r) => [r.name, r.audience, r.serviceAccounts, r.policies])).toEqual([
    ['eso-app-role', 'vault', [{ namespace: 'app', name: 'external-secrets' }], ['eso-app']],
    ['custom', 'vault', [{ namespace: 'app', name: 'robot' }], ['eso-app']],
  ]);
});

test('no path can break out of its stanza', () => {
  const [policy] = accessOf(
    objects(`${STORE}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: a, namespace: app}
spec: {secretStoreRef: {name: s}, data: [{secretKey: x, remoteRef: {key: 'x" { capabilities = ["sudo"] } path "*'}}]}
`),
    locate,
  ).policies;
  expect(policy?.text.split('\n')[0]).toBe(
    'path "secret/data/x\\" { capabilities = [\\"sudo\\"] } path \\"*" {',
  );
});

test('a PushSecret gets what its pushes write, in each store that it names, and where its keys are known', () => {
  const access = accessOf(
    objects(`${STORE}
apiVersion: external-secrets.io/v1alpha1
kind: PushSecret
metadata: {name: p, namespace: app}
spec:
  secretStoreRefs: [{name: s}, {name: elsewhere}]
  selector: {secret: {name: x}}
  data: [{match: {secretKey: a, remoteRef: {remoteKey: one}}}]
  dataTo: [{storeRef: {name: s}, remoteKey: two}, {storeRef: {name: s}}]
`),
    { ...locate, write: (key) => [`secret/data/${key}`, `secret/metadata/${key}`] },
  );
  const text = access.policies.find((p) => p.name === 'eso-app')?.text ?? '';
  expect(text.match(/path "([^"]+)"/g)).toEqual([
    'path "secret/data/one"',
    'path "secret/data/two"',
    'path "secret/metadata/one"',
    'path "secret/metadata/two"',
  ]);
  expect(text).toContain('capabilities = ["create", "delete", "read", "update"]');
  expect(access.roles.map((r) => r.name)).toEqual(['eso-app-role', 'custom']);
});
