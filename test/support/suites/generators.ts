/** Generators as people use them: applied with kubectl, over a Kubernetes API, against our own server. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { VaultClient } from '../../../src/client/client.ts';
import { parsePrivatePem } from '../../../src/crypto/ssh/privatekey.ts';
import { type Kubectl, kubectl } from '../kubectl.ts';
import { eventually, type TestPlatform } from '../platform.ts';

const GENERATORS = `
apiVersion: generators.external-secrets.io/v1alpha1
kind: Password
metadata: { name: pw, namespace: team }
spec: { length: 16, digits: 4, symbols: 2, symbolCharacters: "-_$@", noUpper: false, allowRepeat: true }
---
apiVersion: generators.external-secrets.io/v1alpha1
kind: UUID
metadata: { name: id, namespace: team }
---
apiVersion: generators.external-secrets.io/v1alpha1
kind: SSHKey
metadata: { name: deploy, namespace: team }
spec: { keyType: ed25519, comment: deploy@team }
---
apiVersion: generators.external-secrets.io/v1alpha1
kind: Fake
metadata: { name: fake, namespace: team }
spec: { data: { foo: bar } }
---
apiVersion: generators.external-secrets.io/v1alpha1
kind: ClusterGenerator
metadata: { name: everybody }
spec: { kind: Password, generator: { passwordSpec: { length: 8, digits: 8, symbols: 0, allowRepeat: true } } }
`;

const from = (kind: string, name: string, more = '') =>
  `{ sourceRef: { generatorRef: { apiVersion: generators.external-secrets.io/v1alpha1, kind: ${kind}, name: ${name} } }${more} }`;
const externalSecret = (name: string, ...entries: readonly string[]) => `
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: { name: ${name}, namespace: team }
spec:
  refreshInterval: 1h
  dataFrom: [${entries.join(', ')}]
`;

/** @param start a platform of its own: over the embedded Kubernetes API, or over a real one */
export function generatorSuite(start: () => Promise<TestPlatform>): void {
  let platform: TestPlatform;
  let control: Kubectl;
  let root: VaultClient;

  beforeAll(async () => {
    platform = await start();
    control = kubectl(platform.env);
    root = platform.root;
    await control.ok('create namespace team');
  }, 60_000);
  afterAll(() => platform?.stop());

  const ready = (name: string, text: RegExp): Promise<string> =>
    eventually(`ExternalSecret ${name} says ${text}`, async () => {
      const path =
        "jsonpath='{.status.conditions[0].status} {.status.conditions[0].reason}: {.status.conditions[0].message}'";
      const { out } = await control.run(`-n team get externalsecret ${name} -o ${path}`);
      return text.test(out) ? out : undefined;
    });
  const data = async (name: string): Promise<Record<string, string>> => {
    const secret = JSON.parse(await control.ok(`-n team get secret ${name} -o json`)) as {
      data?: Record<string, string>;
    };
    return Object.fromEntries(
      Object.entries(secret.data ?? {}).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]),
    );
  };
  const rootAsks = async (method: 'PUT' | 'POST' | 'GET', path: string, body?: object) =>
    (await root.request(method, path, body === undefined ? {} : { body })).envelope?.data as
      | Record<string, unknown>
      | undefined;

  test('what each makes is written under its own names, or under those that a rewrite gives', async () => {
    await control.apply(GENERATORS);
    await control.apply(
      externalSecret(
        'app',
        from('Password', 'pw'),
        from('Password', 'pw', ', rewrite: [{ regexp: { source: "(.*)", target: "second_$1" } }]'),
        from('UUID', 'id'),
        from('SSHKey', 'deploy'),
        from('Fake', 'fake'),
      ),
      externalSecret('shared', from('ClusterGenerator', 'everybody')),
    );
    await ready('app', /^True SecretSynced: secret synced/);
    const made = await data('app');
    expect(Object.keys(made).sort()).toEqual(
      ['foo', 'password', 'privateKey', 'publicKey', 'second_password', 'uuid'].sort(),
    );
    expect(made['password']).toMatch(/^[A-Za-z0-9$@_-]{16}$/);
    expect(made['second_password']).not.toBe(made['password']);
    expect(made['uuid']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(parsePrivatePem(made['privateKey'] ?? '')?.asymmetricKeyType).toBe('ed25519');
    expect(made['publicKey']).toMatch(/^ssh-ed25519 \S+ deploy@team\n$/);
    expect(made['foo']).toBe('bar');
    await ready('shared', /^True/);
    expect((await data('shared'))['password']).toMatch(/^\d{8}$/);
    expect(await control.ok('-n team get external-secrets-generators')).toContain('password');
  }, 60_000);

  test('a force-sync makes new values; nothing else does', async () => {
    const before = await data('shared');
    await control.ok('-n team label secret shared touched=yes');
    await control.ok('-n team annotate externalsecret shared force-sync=1 --overwrite');
    await eventually(
      'there is a new one',
      async () => (await data('shared'))['password'] !== before['password'] || undefined,
    );
  }, 60_000);

  test('a manifest that is wrong is refused by kubectl, and one that cannot be kept says why', async () => {
    const wrong = await control.run(
      'apply -f -',
      'apiVersion: generators.external-secrets.io/v1alpha1\nkind: Password\nmetadata: { name: wrong, namespace: team }\nspec: { length: -1 }\n',
    );
    expect(wrong.err).toContain('spec.length');
    await control.apply(
      'apiVersion: generators.external-secrets.io/v1alpha1\nkind: Password\nmetadata: { name: wrong, namespace: team }\nspec: { length: 4, digits: 4, symbols: 4 }\n',
      externalSecret('wrong', from('Password', 'wrong')),
    );
    expect(await ready('wrong', /^False/)).toContain(
      'error processing spec.dataFrom[0].sourceRef.generatorRef, err: Password team/wrong: number of digits and symbols must be less than total length',
    );
  }, 60_000);

  test('a generator reaches neither other namespaces nor the machine of the operator', async () => {
    await control.ok('create namespace other');
    await control.ok('-n other create secret generic theirs --from-literal=pem=x');
    const github = (namespace: string) =>
      `{ appID: "1", installID: "2", auth: { privateKey: { secretRef: { name: theirs, key: pem, namespace: ${namespace} } } } }`;
    await control.apply(
      `apiVersion: generators.external-secrets.io/v1alpha1\nkind: GithubAccessToken\nmetadata: { name: hop, namespace: team }\nspec: ${github('other')}\n`,
      `apiVersion: generators.external-secrets.io/v1alpha1\nkind: ClusterGenerator\nmetadata: { name: hop }\nspec: { kind: GithubAccessToken, generator: { githubAccessTokenSpec: ${github('other')} } }\n`,
      `apiVersion: generators.external-secrets.io/v1alpha1\nkind: Webhook\nmetadata: { name: hop, namespace: team }\nspec: { url: "${platform.api.url}/version", result: { jsonPath: $ } }\n`,
      externalSecret('hop-ref', from('GithubAccessToken', 'hop')),
      externalSecret('hop-cluster', from('ClusterGenerator', 'hop')),
      externalSecret('hop-web', from('Webhook', 'hop')),
    );
    expect(await ready('hop-ref', /^False/)).toContain('operator.ref_namespace');
    expect(await ready('hop-cluster', /^False/)).toContain('operator.ref_namespace');
    expect(await ready('hop-web', /^False/)).toContain('dial.refused');
  }, 60_000);

  test('Vault makes a credential under a login of its own, and it ends with its ExternalSecret', async () => {
    await rootAsks('POST', 'sys/mounts/pki', { type: 'pki' });
    await rootAsks('POST', 'pki/root/generate/internal', { common_name: 'root', ttl: '8760h' });
    await rootAsks('POST', 'pki/roles/web', { allow_any_name: true, generate_lease: true, max_ttl: '24h' });
    await rootAsks('PUT', 'sys/policies/acl/generator', {
      policy:
        'path "pki/issue/web" { capabilities = ["update"] }\npath "auth/token/create" { capabilities = ["update"] }',
    });
    const { envelope } = await root.request('POST', 'auth/token/create', {
      body: { policies: ['generator'], ttl: '1h' },
    });
    const token = envelope?.auth?.clientToken ?? '';
    await control.ok(`-n team create secret generic vault-token --from-literal=token=${token}`);
    await control.apply(
      `
apiVersion: generators.external-secrets.io/v1alpha1
kind: VaultDynamicSecret
metadata: { name: web, namespace: team }
spec:
  path: pki/issue/web
  method: POST
  parameters: { common_name: app.example.com, ttl: 1h }
  provider:
    server: http://vault.vault-system:8200
    path: pki
    version: v2
    auth: { tokenSecretRef: { name: vault-token, key: token } }
`,
      externalSecret('web', from('VaultDynamicSecret', 'web')),
    );
    await ready('web', /^True SecretSynced/);
    const made = await data('web');
    expect(made['certificate']).toContain('BEGIN CERTIFICATE');
    expect(made['expiration']).toMatch(/^\d{10}$/);
    const states = JSON.parse(await control.ok('-n team get generatorstates -o json')) as {
      items: {
        metadata: { name: string };
        spec: { state: { leaseId: string }; resource: { kind: string } };
      }[];
    };
    const [state] = states.items;
    expect(states.items).toHaveLength(1);
    expect(state?.spec.resource.kind).toBe('VaultDynamicSecret');
    const leaseId = state?.spec.state.leaseId ?? '';
    expect(leaseId).toMatch(/^pki\/issue\/web\//);
    expect(JSON.stringify(states)).not.toContain(token);
    expect(await rootAsks('PUT', 'sys/leases/lookup', { lease_id: leaseId })).toMatchObject({ id: leaseId });
    expect(await control.ok('-n team get gs')).toMatch(/NAME\s+GC DEADLINE\s+AGE/);

    await control.ok('-n team delete externalsecret web');
    await eventually('its lease is gone', async () => {
      try {
        await rootAsks('PUT', 'sys/leases/lookup', { lease_id: leaseId });
        return undefined;
      } catch {
        return true;
      }
    });
    await eventually('nothing is left of it', async () => {
      const left = await control.ok(`-n team get generatorstate,secret -o name`);
      return left.includes(state?.metadata.name ?? '-') ? undefined : true;
    });
  }, 60_000);

  test('Vault makes a credential by a token that may have no child: its lease alone ends with the ExternalSecret', async () => {
    await rootAsks('PUT', 'sys/policies/acl/narrow', {
      policy:
        'path "pki/issue/web" { capabilities = ["update"] }\npath "sys/leases/revoke" { capabilities = ["update"] }',
    });
    const { envelope } = await root.request('POST', 'auth/token/create', {
      body: { policies: ['narrow'], ttl: '1h' },
    });
    const token = envelope?.auth?.clientToken ?? '';
    await control.ok(`-n team create secret generic narrow-token --from-literal=token=${token}`);
    await control.apply(
      `
apiVersion: generators.external-secrets.io/v1alpha1
kind: VaultDynamicSecret
metadata: { name: narrow, namespace: team }
spec:
  path: pki/issue/web
  method: POST
  parameters: { common_name: narrow.example.com, ttl: 1h }
  provider: { server: "http://vault.vault-system:8200", auth: { tokenSecretRef: { name: narrow-token, key: token } } }
`,
      externalSecret('narrow', from('VaultDynamicSecret', 'narrow')),
    );
    await ready('narrow', /^True SecretSynced/);
    const leases = async (): Promise<string[]> => {
      const listed = await root.request('LIST', 'sys/leases/lookup/pki/issue/web').catch(() => undefined);
      return (listed?.envelope?.data as { keys?: string[] } | undefined)?.keys ?? [];
    };
    expect(await leases()).toHaveLength(1);
    await control.ok('-n team delete externalsecret narrow');
    await eventually('its lease is gone', async () => (await leases()).length === 0 || undefined);
    const given = root.with({ token });
    expect((await given.request('GET', 'auth/token/lookup-self')).status).toBe(200);
  }, 60_000);

  test('a token of Vault that a generator made dies with it, and a path that gives nothing says so', async () => {
    await control.apply(
      `
apiVersion: generators.external-secrets.io/v1alpha1
kind: VaultDynamicSecret
metadata: { name: child, namespace: team }
spec:
  path: auth/token/create
  method: POST
  parameters: { ttl: 10m }
  resultType: Auth
  provider: { server: "http://vault.vault-system:8200", auth: { tokenSecretRef: { name: vault-token, key: token } } }
`,
      `
apiVersion: generators.external-secrets.io/v1alpha1
kind: VaultDynamicSecret
metadata: { name: denied, namespace: team }
spec:
  path: secret/data/other
  provider: { server: "http://vault.vault-system:8200", auth: { tokenSecretRef: { name: vault-token, key: token } } }
`,
      externalSecret('child', from('VaultDynamicSecret', 'child')),
      externalSecret('denied', from('VaultDynamicSecret', 'denied')),
    );
    await ready('child', /^True/);
    const made = await data('child');
    const child = root.with({ token: made['client_token'] ?? '' });
    expect((await child.request('GET', 'auth/token/lookup-self')).envelope?.data).toMatchObject({
      policies: ['default', 'generator'],
    });
    expect(await ready('denied', /^False/)).toContain('permission denied');
    await control.ok('-n team delete externalsecret child denied');
    await eventually('the token is gone', async () => {
      try {
        await child.request('GET', 'auth/token/lookup-self');
        return undefined;
      } catch {
        return true;
      }
    });
    await eventually('no state is left', async () =>
      (await control.ok('-n team get generatorstates -o name')) === '' ? true : undefined,
    );
  }, 60_000);

  test('a DatabaseSecret as a document of this field writes it waits for its store, and says so', async () => {
    await control.apply(`
apiVersion: external-secrets.io/v1alpha1
kind: DatabaseSecret
metadata:
  name: postgres-dynamic
spec:
  backend: vault
  vaultMountPath: database
  vaultRole: readonly
`);
    const told = await eventually('it says what is missing', async () => {
      const { out } = await control.run(
        "get databasesecret postgres-dynamic -o jsonpath='{.status.conditions[0].message}'",
      );
      return out.includes('could not get') ? out : undefined;
    });
    expect(told).toContain(
      'could not get SecretStore "vault", there is no such SecretStore in namespace "default"',
    );
    expect(
      await control.ok("get externalsecret postgres-dynamic -o jsonpath='{.spec.dataFrom[0].extract.key}'"),
    ).toBe('database/creds/readonly');
    expect(await control.ok('get dbs')).toMatch(/NAME\s+BACKEND\s+ROLE\s+STATUS\s+READY/);
  }, 60_000);

  test('what a generator makes can be pushed', async () => {
    await control.apply(
      'apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: { name: fake, namespace: team }\nspec: { provider: { fake: { data: [] } } }\n',
      `
apiVersion: external-secrets.io/v1alpha1
kind: PushSecret
metadata: { name: pushed, namespace: team }
spec:
  refreshInterval: 1h
  secretStoreRefs: [{ name: fake }]
  selector: { generatorRef: { apiVersion: generators.external-secrets.io/v1alpha1, kind: Password, name: pw } }
  data: [{ match: { secretKey: password, remoteRef: { remoteKey: made } } }]
`,
    );
    await eventually('it is pushed', async () => {
      const { out } = await control.run(
        "-n team get pushsecret pushed -o jsonpath='{.status.conditions[0].status} {.status.conditions[0].message}'",
      );
      return out.startsWith('True') ? out : undefined;
    });
    await control.apply(
      'apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: { name: read-back, namespace: team }\nspec: { secretStoreRef: { name: fake }, data: [{ secretKey: p, remoteRef: { key: made } }] }\n',
    );
    await ready('read-back', /^True/);
    expect((await data('read-back'))['p']).toMatch(/^[A-Za-z0-9$@_-]{16}$/);
  }, 60_000);
}
