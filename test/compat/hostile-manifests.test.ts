/**
 * Manifests that are wrong or mean harm, applied with the real kubectl to the whole platform: refused at the door where a
 * schema can tell, else told in the condition of their own object. Nobody else's Secret is touched, and the operator goes on.
 */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SECRET_STORES, SECRETS } from '../../src/operator/api/resources.ts';
import { inventory } from '../support/inventory.ts';
import { noKubectl } from '../support/kubectl.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { type Condition, entry, makeTeam, type Team } from '../support/team.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/hostile-manifests: ${noKubectl}`);

const FOREIGN = 'what-belongs-to-the-other-team';

describe.skipIf(noKubectl !== undefined)('a manifest', () => {
  let platform: TestPlatform;
  let team: Team;
  let other: Team;
  let before: string;

  const secretsText = async (): Promise<string> => {
    const { items } = await platform.kube.list({ resource: SECRETS });
    return JSON.stringify(
      items
        .filter(({ metadata }) => ['shop', 'other'].includes(metadata.namespace ?? ''))
        .map(({ metadata, ...rest }) => [metadata.namespace, metadata.name, rest['data']]),
    );
  };
  const stored = async (): Promise<string> => (await inventory(platform)) + (await secretsText());

  beforeAll(async () => {
    platform = await startTestPlatform();
    team = await makeTeam(platform, 'shop');
    other = await makeTeam(platform, 'other');
    await team.put('app', { password: 'mine', big: 'x'.repeat(1000) });
    await other.put('app', { password: FOREIGN });
    await other.externalSecret('app', { data: [entry('password', 'secret/other/app', 'password')] });
    await other.holds('app', { password: FOREIGN });
    await team.externalSecret('app', { data: [entry('password', 'secret/shop/app', 'password')] });
    await team.holds('app', { password: 'mine' });
    await platform.kube.create(
      { resource: SECRETS, namespace: 'other', name: 'vault-token' },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'vault-token', namespace: 'other' },
        data: { token: Buffer.from(platform.keys.rootToken).toString('base64') },
      },
    );
    before = await stored();
  });
  afterAll(() => platform?.stop());

  afterEach(async () => {
    // What the test made goes; what was there before must be as it was, and the operator must still answer.
    await team.kubectl.run('delete externalsecrets,secretstores -n shop -l hostile=yes --wait=true');
    await eventually('only the old Secrets are left', async () => (await stored()) === before || undefined);
    await team.put('alive', { v: String(Date.now()) });
    await platform.root.request('DELETE', 'secret/metadata/shop/alive');
    expect((await team.condition('app')).status).toBe('True');
    expect(await platform.logged()).not.toContain(FOREIGN);
  });

  const externalSecret = (name: string, spec: object, metadata: object = {}): object => ({
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name, namespace: 'shop', labels: { hostile: 'yes' }, ...metadata },
    spec: { refreshInterval: '1h', secretStoreRef: { name: 'vault', kind: 'SecretStore' }, ...spec },
  });
  const secretStore = (name: string, provider: object): object => ({
    apiVersion: 'external-secrets.io/v1',
    kind: 'SecretStore',
    metadata: { name, namespace: 'shop', labels: { hostile: 'yes' } },
    spec: { provider },
  });
  const vault = (more: object): object => ({
    vault: {
      server: 'http://vault.vault-system.svc.cluster.local:8200',
      path: 'secret',
      version: 'v2',
      ...more,
    },
  });
  const good = { data: [entry('password', 'secret/shop/app', 'password')] };

  const failed = async (name: string): Promise<Condition> =>
    eventually(`${name} fails`, async () => {
      const condition = await team.condition(name);
      return condition.status === 'False' ? condition : undefined;
    });
  const storeFailed = async (name: string): Promise<Condition> =>
    eventually(`the store ${name} fails`, async () => {
      const store = await platform.kube.get({ resource: SECRET_STORES, namespace: 'shop', name });
      const status = store?.['status'] as { conditions?: (Condition & { type: string })[] } | undefined;
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'False' ? ready : undefined;
    });

  describe('is refused by kubectl apply', () => {
    test.each<readonly [string, () => object, RegExp]>([
      [
        'an unknown field',
        () => externalSecret('x', { ...good, refreshIntervall: '1m' }),
        /unknown field "spec\.refreshIntervall"/,
      ],
      [
        'an unknown field deep inside',
        () => externalSecret('x', { data: [{ secretKey: 'a', remoteRef: { key: 'a', propertie: 'b' } }] }),
        /unknown field "spec\.data\[0\]\.remoteRef\.propertie"/,
      ],
      ['a key in capitals', () => externalSecret('x', { Data: good.data }), /unknown field "spec\.Data"/],
      [
        'a list where an object belongs',
        () => externalSecret('x', { ...good, target: ['a'] }),
        /spec\.target/,
      ],
      [
        'an object where a list belongs',
        () => externalSecret('x', { data: { secretKey: 'a' } }),
        /spec\.data/,
      ],
      [
        'a number where a text belongs',
        () => externalSecret('x', { data: [{ secretKey: 5, remoteRef: { key: 'a' } }] }),
        /spec\.data\[0\]\.secretKey/,
      ],
      [
        'a policy that does not exist',
        () => externalSecret('x', { ...good, target: { creationPolicy: 'Steal' } }),
        /spec\.target\.creationPolicy/,
      ],
      [
        'a name that is a path',
        () => externalSecret('../other', good),
        /metadata\.name|invalid|path segment/i,
      ],
    ])('%s', async (_what, make, says) => {
      const { code, out, err } = await team.kubectl.run(
        'apply --validate=strict -f -',
        JSON.stringify(make()),
      );
      expect([code, out]).toEqual([1, '']);
      expect(err).toMatch(says);
    });

    test('YAML that is none, and an alias that unfolds a billion times', async () => {
      expect((await team.kubectl.run('apply -f -', 'a: [1\nb: }')).code).toBe(1);
      const laughs = Array.from(
        { length: 9 },
        (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(', ')}]`,
      );
      const bomb = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb, namespace: shop}\nl0: &l0 lol\n${laughs.join('\n')}\n`;
      expect((await team.kubectl.run('apply -f -', bomb)).code).toBe(1);
    });
  });

  describe('is told in its condition what is wrong, and changes nothing:', () => {
    test.each<readonly [string, object, RegExp]>([
      [
        'a path out of its folder',
        { data: [entry('a', '../../sys/policies/acl/admin', 'policy')] },
        /not canonical|".."/,
      ],
      [
        'a path out of the mount',
        { data: [entry('a', 'secret/shop/../../other/app', 'password')] },
        /not canonical|".."/,
      ],
      [
        'an encoded path',
        { data: [entry('a', 'secret/shop/%2e%2e/other/app', 'password')] },
        /denied|cannot read|not canonical|find/,
      ],
      [
        'a path with a query',
        { data: [entry('a', 'secret/shop/app?version=1', 'password')] },
        /denied|cannot read|find|not exist/,
      ],
      [
        'a path with a fragment',
        { data: [entry('a', 'secret/other/app#x', 'password')] },
        /denied|cannot read|find|not exist/,
      ],
      ['a path with NUL', { data: [entry('a', 'secret/shop/a\u0000pp', 'password')] }, /canonical|character/],
      ['the secret of another team', { data: [entry('a', 'secret/other/app', 'password')] }, /denied/],
      ['everything there is', { dataFrom: [{ find: { name: { regexp: '.*' } } }] }, /denied|cannot/],
      [
        'a search out of its folder',
        { dataFrom: [{ find: { path: '../other', name: { regexp: '.*' } } }] },
        /denied|canonical|cannot|"\.\."/,
      ],
      [
        'a pattern that takes for ever',
        {
          dataFrom: [
            {
              extract: { key: 'secret/shop/app' },
              rewrite: [{ regexp: { source: '(a+)+(?=$)', target: '' } }],
            },
          ],
        },
        /RE2/,
      ],
      [
        'a template without an end',
        { ...good, target: { template: { data: { a: '{{ range until 2000000000 }}x{{ end }}' } } } },
        /was stopped: it used up its|stopped/,
      ],
      [
        'a template that calls itself',
        {
          ...good,
          target: {
            template: { data: { a: '{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}' } },
          },
        },
        /stopped|depth|levels/,
      ],
      [
        'a template that eats memory',
        { ...good, target: { template: { data: { a: '{{ repeat 2000000000 "xxxxxxxxxxxxxxxx" }}' } } } },
        /stopped|memory|bytes/,
      ],
      [
        'a template that doubles itself',
        {
          ...good,
          target: {
            template: {
              data: { a: `{{ $x := "xxxxxxxx" }}${'{{ $x = printf "%s%s" $x $x }}'.repeat(60)}{{ $x }}` },
            },
          },
        },
        /stopped|bytes/,
      ],
      [
        'a template that calls bcrypt for ever',
        {
          ...good,
          target: { template: { data: { a: '{{ range until 100000 }}{{ bcrypt "x" }}{{ end }}' } } },
        },
        /stopped/,
      ],
      [
        'a template that reads the environment',
        { ...good, target: { template: { data: { a: '{{ env "HOME" }}' } } } },
        /function "env" not defined/,
      ],
      [
        'a template that resolves names',
        { ...good, target: { template: { data: { a: '{{ getHostByName "evil.example" }}' } } } },
        /function "getHostByName" not defined/,
      ],
      [
        'a template that reaches for a prototype',
        { ...good, target: { template: { data: { a: '{{ .constructor.constructor }}' } } } },
        /constructor|nil|no entry|map has no/,
      ],
      [
        'a template that is not closed',
        { ...good, target: { template: { data: { a: '{{ if .password }}x' } } } },
        /template/,
      ],
      [
        'the token of an account',
        {
          ...good,
          target: {
            template: {
              type: 'kubernetes.io/service-account-token',
              metadata: { annotations: { 'kubernetes.io/service-account.name': 'external-secrets' } },
            },
          },
        },
        /not allowed/,
      ],
      [
        'a store that is not there',
        { ...good, secretStoreRef: { name: 'none', kind: 'SecretStore' } },
        /there is no such SecretStore in namespace "shop"/,
      ],
      [
        'a Secret that another ExternalSecret owns',
        { ...good, target: { name: 'app' } },
        /controlled by|owned by|owner/,
      ],
    ])('%s', { timeout: 60_000 }, async (_what, spec, says) => {
      const name = 'bad';
      await team.kubectl.apply(externalSecret(name, spec));
      const condition = await failed(name);
      expect(condition.message).toMatch(says);
      expect(JSON.stringify(condition)).not.toContain(FOREIGN);
      expect(await team.secret('bad')).toBeUndefined();
    });

    test.each<readonly [string, object, RegExp]>([
      [
        'a token of another namespace',
        vault({ auth: { tokenSecretRef: { name: 'vault-token', key: 'token', namespace: 'other' } } }),
        /namespace/,
      ],
      [
        'an account of another namespace',
        vault({
          auth: {
            kubernetes: {
              role: 'eso-other-role',
              serviceAccountRef: { name: 'external-secrets', namespace: 'other', audiences: ['vault'] },
            },
          },
        }),
        /namespace/,
      ],
      [
        'an authority of another namespace',
        vault({
          server: 'https://vault.vault-system.svc.cluster.local:8200',
          caProvider: { type: 'Secret', name: 'vault-token', key: 'token', namespace: 'other' },
          auth: {
            kubernetes: {
              role: 'eso-shop-role',
              serviceAccountRef: { name: 'external-secrets', audiences: ['vault'] },
            },
          },
        }),
        /namespace/,
      ],
      [
        'the role of another team',
        vault({
          auth: {
            kubernetes: {
              role: 'eso-other-role',
              serviceAccountRef: { name: 'external-secrets', audiences: ['vault'] },
            },
          },
        }),
        /namespace not authorized/,
      ],
      [
        'a server that is a file',
        vault({
          server: 'file:///etc/passwd',
          auth: { tokenSecretRef: { name: 'vault-token', key: 'token' } },
        }),
        /.+/,
      ],
      [
        'an account that is not there',
        vault({
          auth: {
            kubernetes: {
              role: 'eso-shop-role',
              serviceAccountRef: { name: 'nobody', audiences: ['vault'] },
            },
          },
        }),
        /nobody/,
      ],
      [
        'a provider that nobody knows',
        { safe: { url: 'x' } },
        /unknown provider "safe"; this build has: vault/,
      ],
      ['two providers', { ...vault({}), fake: { data: [] } }, /exactly one provider, it names 2/],
      ['no provider', {}, /exactly one provider, it names 0/],
      ['a vault without a server', { vault: { path: 'secret' } }, /spec\.provider\.vault is wrong: server/],
      [
        'a vault whose version is a number',
        { vault: { server: 'http://x', version: 2 } },
        /spec\.provider\.vault is wrong: version/,
      ],
    ])('a store with %s', async (_what, provider, says) => {
      await team.kubectl.apply(secretStore('bad-store', provider));
      await team.kubectl.apply(
        externalSecret('bad', {
          data: [entry('a', 'secret/other/app', 'password')],
          secretStoreRef: { name: 'bad-store', kind: 'SecretStore' },
        }),
      );
      expect((await storeFailed('bad-store')).message).toMatch(says);
      const condition = await failed('bad');
      expect(JSON.stringify(condition)).not.toContain(FOREIGN);
      expect(JSON.stringify(condition)).not.toContain(platform.keys.rootToken);
      expect(await team.secret('bad')).toBeUndefined();
    });
  });
});
