/** `explain externalsecret` over the whole platform: each link of the chain, broken in turn, is the one that is named. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { locateKeys } from '../../src/bin/dev/locate.ts';
import { providers } from '../../src/bin/operator/providers.ts';
import { declareExplain } from '../../src/cli/explain.ts';
import { runCli } from '../../src/cli/program.ts';
import type { KubeObject, Resource } from '../../src/kube/kube.ts';
import {
  EXTERNAL_SECRETS,
  NAMESPACES,
  SECRET_STORES,
  SERVICE_ACCOUNTS,
} from '../../src/operator/api/resources.ts';
import { conditionOf } from '../../src/operator/conditions.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';

const NS = 'team';
const SECRET = 'hunter2-canary';
let platform: TestPlatform;

const store = (name: string, role: string): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'SecretStore',
  metadata: { name, namespace: NS },
  spec: {
    provider: {
      vault: {
        server: platform.address,
        path: 'secret',
        auth: {
          kubernetes: { role, serviceAccountRef: { name: 'external-secrets', audiences: ['vault'] } },
        },
      },
    },
  },
});
const external = (name: string, spec: object): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'ExternalSecret',
  metadata: { name, namespace: NS },
  spec: { secretStoreRef: { name: 'vault' }, ...spec },
});
const one = (key: string, property?: string): object => ({
  data: [{ secretKey: 'token', remoteRef: { key, ...(property === undefined ? {} : { property }) } }],
});

const create = (resource: Resource, object: KubeObject): Promise<unknown> => {
  const { name, namespace } = object.metadata;
  return platform.kube.create({ resource, name, ...(namespace === undefined ? {} : { namespace }) }, object);
};

beforeAll(async () => {
  platform = await startTestPlatform();
  const { root } = platform;
  await create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NS } });
  await create(SERVICE_ACCOUNTS, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'external-secrets', namespace: NS },
  });
  await root.request('PUT', 'sys/policies/acl/team', {
    body: {
      policy:
        'path "secret/data/team/*" {\n  capabilities = ["read"]\n}\npath "secret/data/other" {\n  capabilities = ["list"]\n}\npath "secret/data/team/shut" {\n  capabilities = ["deny"]\n}\n',
    },
  });
  await root.request('PUT', 'auth/kubernetes/role/team', {
    body: {
      bound_service_account_names: 'external-secrets',
      bound_service_account_namespaces: NS,
      audience: 'vault',
      token_policies: ['team'],
    },
  });
  await root.request('PUT', 'secret/data/team/app', { body: { data: { 'api-key': SECRET } } });
  await create(SECRET_STORES, store('vault', 'team'));
}, 60_000);
afterAll(() => platform.stop());

async function told(object: KubeObject, env: Readonly<Record<string, string | undefined>> = {}) {
  const { name } = object.metadata;
  const at = { resource: EXTERNAL_SECRETS, namespace: NS, name };
  if ((await platform.kube.get(at)) === undefined) await create(EXTERNAL_SECRETS, object);
  await eventually(`${name} is told of`, async () => conditionOf(await platform.kube.get(at)));
  return run(name, env);
}

async function run(name: string, env: Readonly<Record<string, string | undefined>> = {}) {
  let out = '';
  let err = '';
  const code = await runCli(
    ['explain', 'externalsecret', name, '-n', NS],
    {
      env: { ...platform.env, ...env },
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      stdin: async () => '',
      secret: async () => '',
      readFile: async () => '',
      tokenFile: { read: async () => undefined, write: async () => undefined },
    },
    '0.0.0',
    [
      (program, terminal) =>
        declareExplain(program, terminal, async () => ({
          providers: providers({ env: {} }),
          locate: locateKeys,
        })),
    ],
  );
  expect(out + err).not.toContain(SECRET);
  return { code, out, err };
}

describe('explain externalsecret', () => {
  test('tells each link of a chain that holds, with the rule that lets it read', async () => {
    const { code, out } = await told(external('right', one('team/app', 'api-key')));
    expect(code).toBe(0);
    expect(out).toContain('Ready=True SecretSynced');
    expect(out).toMatch(/ok +store vault +SecretStore, vault, ready/);
    expect(out).toMatch(
      /ok +login vault +team\/external-secrets by the role "team" of auth\/kubernetes; policies team/,
    );
    expect(out).toMatch(
      /ok +key team\/app +secret\/data\/team\/app: read is granted by path "secret\/data\/team\/\*" of the policy "team" \(team\.hcl:1\); it is there/,
    );
    expect(out).toMatch(/ok +Secret right +it is there, with token/);
    expect(out).toContain('No link that can be seen fails.');
  });
  test('names the rule that refuses, and what to write instead', async () => {
    const { code, out } = await told(external('denied', one('other')));
    expect(code).toBe(1);
    expect(out).toContain(
      'path "secret/data/other" of the policy "team" (team.hcl:4) decides: the rule does not grant "read"',
    );
    expect(out).toContain('Let the policy "team" have: path "secret/data/other" { capabilities = ["read"] }');
    expect(out).toContain('The link that fails: key other.');
  });
  test('names a path that is not there, and a key that is not at it', async () => {
    expect((await told(external('nothing', one('team/gone', 'x')))).out).toMatch(
      /FAILED +key team\/gone .*check\.path_missing/,
    );
    const { out } = await told(external('keyless', one('team/app', 'apiKey')));
    expect(out).toMatch(/FAILED +key team\/app .*has no key "apiKey"; did you mean "api-key"\?/);
  });
  test('names a store that is not there, and one whose role is not', async () => {
    const missing = external('storeless', { ...one('team/app'), secretStoreRef: { name: 'valt' } });
    expect((await told(missing)).out).toMatch(/FAILED +store valt .*operator\.store_missing/);
    await create(SECRET_STORES, store('roleless', 'gone'));
    const roleless = external('roleless', { ...one('team/app'), secretStoreRef: { name: 'roleless' } });
    const { out } = await told(roleless);
    expect(out).toMatch(/FAILED +login roleless .*there is no role "gone" at auth\/kubernetes/);
    // The store is not ready, either, and that is why.
    expect(out).toContain('The link that fails: login roleless.');
  });
  test('names a template that reads what nothing gives', async () => {
    const template = { target: { template: { data: { out: '{{ .user }}' } } } };
    const { out } = await told(external('templated', { ...one('team/app', 'api-key'), ...template }));
    expect(out).toMatch(/FAILED +template .*reads "user", and nothing gives it/);
  });
  test('mends a denial by taking it away: a rule beside it would change nothing', async () => {
    const { out } = await told(external('shut', one('team/shut')));
    expect(out).toContain('(team.hcl:7) decides');
    expect(out).toContain(
      'Take "deny" out of path "secret/data/team/shut" of the policy "team" (team.hcl:7), or read another path.',
    );
  });
  test('names the store where its engine is another, or of another version, before any right', async () => {
    const over = (name: string, more: object): KubeObject => {
      const object = store(name, 'team');
      const { provider } = object['spec'] as { provider: { vault: object } };
      return { ...object, spec: { provider: { vault: { ...provider.vault, ...more } } } };
    };
    await create(SECRET_STORES, over('old', { version: 'v1' }));
    await create(SECRET_STORES, over('elsewhere', { path: 'secrets' }));
    const old = external('old', { ...one('team/app'), secretStoreRef: { name: 'old' } });
    expect((await told(old)).out).toMatch(/The link that fails: store old\./);
    expect((await run('old')).out).toMatch(/FAILED +store old .*check\.kv_version/);
    const elsewhere = external('elsewhere', { ...one('team/app'), secretStoreRef: { name: 'elsewhere' } });
    expect((await told(elsewhere)).out).toMatch(/FAILED +store elsewhere .*check\.mount_missing/);
  });
  test('says what the operator was told where nothing else explains it: by other stores, and of what templates come from', async () => {
    const provider = { fake: { data: [{ key: 'there', value: 'x' }] } };
    await create(SECRET_STORES, { ...store('fake', ''), spec: { provider } });
    const fake = external('elsewhere-missing', { ...one('gone'), secretStoreRef: { name: 'fake' } });
    const { out } = await told(fake);
    expect(out).toMatch(
      /FAILED +sync .*\(key: gone\), err: Secret does not exist \[operator\.secret_missing\]\n +Store it/,
    );
    expect(out).toContain('The link that fails: sync.');
    const templateFrom = [{ configMap: { name: 'absent', items: [{ key: 'a' }] } }];
    const sourceless = external('sourceless', {
      ...one('team/app', 'api-key'),
      target: { template: { templateFrom } },
    });
    expect((await told(sourceless)).out).toMatch(
      /FAILED +template .*configmap absent: it does not exist \[operator\.source_missing\]\n +Create it/,
    );
    expect((await run('sourceless')).out).toContain('The link that fails: template.');
  });
  test('names the owner of a Secret that is not to be had, once', async () => {
    await told(external('owning', one('team/app', 'api-key')));
    const { out } = await told(external('late', { ...one('team/app'), target: { name: 'owning' } }));
    expect(out).toMatch(/FAILED +Secret owning .*controlled by ExternalSecret owning \[operator\.owned\]/);
    expect(out.match(/FAILED/g)).toHaveLength(1);
  });
  test('looks at a store of another controller class all the same, and names the class', async () => {
    const theirs = store('theirs', 'team');
    await create(SECRET_STORES, { ...theirs, spec: { ...(theirs['spec'] as object), controller: 'theirs' } });
    const object = external('theirs', { ...one('team/app'), secretStoreRef: { name: 'theirs' } });
    await create(EXTERNAL_SECRETS, object);
    expect((await run('theirs')).out).toMatch(/FAILED +store theirs .*it has not been checked yet/);
  });
  test('says what it could not see without a token', async () => {
    const { code, out } = await told(external('right', {}), { VAULT_TOKEN: undefined });
    expect(code).toBe(0);
    expect(out).toContain('the server was not asked');
    expect(out).toMatch(/\? +key team\/app/);
  });
  test('an ExternalSecret that is not there is told as such', async () => {
    expect(await run('nobody')).toMatchObject({ code: 2, err: expect.stringContaining('it does not exist') });
  });
});
