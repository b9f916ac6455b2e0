import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { locateKeys } from '../../bin/dev/locate.ts';
import { providers } from '../../bin/operator/providers.ts';
import { check } from './check.ts';
import { readPaths, readServer } from './server.ts';

interface Extras {
  readonly server?: string;
  readonly paths?: string;
  readonly namespace?: string;
}

const all = providers({ env: {} });

/** What is found, a line each: place, class, code, message. */
function found(
  files: Readonly<Record<string, string>>,
  { server, paths, namespace = 'default' }: Extras = {},
) {
  const { findings } = check({
    files: Object.entries(files).map(([name, text]) => ({ name, text })),
    namespace,
    providers: all,
    locate: locateKeys,
    ...(server === undefined ? {} : { server: readServer('roles.yaml', server) }),
    ...(paths === undefined ? {} : { paths: readPaths('paths.txt', paths) }),
  });
  return findings.map(
    ({ file, line, column, class: cls, failure }) =>
      `${file}:${line}:${column ?? '-'} ${cls} ${failure.code} ${failure.message}`,
  );
}

const STORE = `
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: { name: vault, namespace: team }
spec:
  provider:
    vault:
      server: https://vault.example.com:8200
      path: secret
      auth:
        kubernetes:
          role: team
          serviceAccountRef: { name: reader, audiences: [vault] }
`;
const external = (rest: string, name = 'app'): string => `
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: { name: ${name}, namespace: team }
spec:
  secretStoreRef: { name: vault }
${rest}`;
const ONE_KEY = external(`  data:
    - secretKey: token
      remoteRef: { key: app, property: token }
`);
const ROLE = `
auth:
  kubernetes:
    team:
      bound_service_account_names: [reader]
      bound_service_account_namespaces: [team]
      audience: vault
      policies: [team]
`;
const POLICY = 'path "secret/data/app" {\n  capabilities = ["read"]\n}\n';
const both = (...documents: string[]): Record<string, string> => ({ 'a.yaml': documents.join('---') });

describe('what is right', () => {
  test('has no findings', () => {
    expect(
      found({ ...both(STORE, ONE_KEY), 'team.hcl': POLICY }, { server: ROLE, paths: 'secret/app token' }),
    ).toEqual([]);
  });
  test('what is no manifest is passed over: values of charts, lists, settings of programs, Terraform', () => {
    expect(
      found({
        'values.yaml': 'global: { enabled: true }\n',
        'list.yaml': '- a\n- b\n',
        'empty.yaml': '# nothing\n---\n',
        'main.hcl': 'region = "eu"\nresource "x" "y" { path = "z" }\n',
        'kind.yaml': 'apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\nnodes: []\n',
      }),
    ).toEqual([]);
  });
  test('objects in a List are looked at like any other', () => {
    const items = `apiVersion: v1
kind: List
items:
  - apiVersion: external-secrets.io/v1
    kind: ExternalSecret
    metadata: { name: a }
    spec:
      secretStoreRef: { name: gone }
      data: []
`;
    expect(found({ 'a.yaml': items }).map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      'a.yaml:7:5 error operator.spec_invalid',
      'a.yaml:8:25 warning check.store_missing',
    ]);
  });
});

describe('files', () => {
  test('a document that cannot be read spoils no other, and is told with its line', () => {
    expect(found({ 'a.yaml': `a: [1\n---\n${STORE}---\n${external('  data: []\n')}` })).toEqual([
      expect.stringContaining('warning check.unreadable nothing in it was checked'),
      expect.stringContaining('error operator.spec_invalid either data or dataFrom'),
    ]);
  });
  test('a template of a chart is named as one', () => {
    expect(found({ 't.yaml': 'a:\n{{- if .Values.x }}\n b: {{ .Values.y }}\n{{ end }}\n' })).toEqual([
      expect.stringContaining('it is a template of a chart'),
    ]);
  });
  test('nothing of a YAML text stands in what is said of it', () => {
    const [line = ''] = found({ 'a.yaml': 'password: "hunter2\nother: x\n' });
    expect(line).toContain('check.unreadable');
    expect(line).not.toContain('hunter2');
  });
});

describe('kinds and fields', () => {
  test('an unknown field is told with the one that was meant, at its own line', () => {
    const text = external(
      '  data:\n    - secretKey: a\n      remoteRef:\n        key: app\n        propertie: b\n',
    );
    expect(found(both(STORE, text))).toEqual([
      'a.yaml:24:9 error check.unknown_field spec.data[0].remoteRef has no field "propertie"; did you mean "property"?',
    ]);
  });
  test('so is one in the block of a provider', () => {
    expect(found({ 'a.yaml': STORE.replace('server:', 'servers:') })).toEqual([
      'a.yaml:8:7 error check.unknown_field spec.provider.vault has no field "servers"; did you mean "server"?',
    ]);
  });
  test('a version that only we serve is wrong upstream alone; one that nobody serves is wrong', () => {
    expect(found({ 'a.yaml': STORE.replace('/v1', '/v1beta1') })).toEqual([
      expect.stringContaining('a.yaml:2:1 upstream-only check.not_served_upstream'),
    ]);
    expect(found({ 'a.yaml': STORE.replace('/v1', '/v1alpha1') })).toEqual([
      expect.stringContaining('a.yaml:2:1 error check.unknown_version'),
    ]);
  });
  test('a kind that is written wrongly is told with the one that was meant', () => {
    expect(found({ 'a.yaml': STORE.replace('SecretStore', 'SecretsStore') })).toEqual([
      expect.stringContaining('did you mean "SecretStore"?'),
    ]);
  });
  test('a value that does not fit is told where it stands', () => {
    const text = external(
      '  target:\n    creationPolicy: Ownr\n  data: [{ secretKey: a, remoteRef: { key: app } }]\n',
    );
    expect(found(both(STORE, text))).toEqual([
      expect.stringMatching(/^a\.yaml:21:5 error check\.invalid_field spec\.target\.creationPolicy is wrong/),
    ]);
  });
  test('a member that is null is one that is not there', () => {
    expect(found(both(STORE, ONE_KEY.replace('spec:', 'spec:\n  target:')))).toEqual([]);
  });
  test('a label that is a number is told to be quoted', () => {
    const text = STORE.replace('namespace: team', 'namespace: team, labels: { tier: 1 }');
    expect(found({ 'a.yaml': text })).toEqual([expect.stringContaining('put it in quotes')]);
  });
  test('the same object twice in a folder is told; overlays in folders of their own are not', () => {
    expect(found({ 'x/a.yaml': STORE, 'x/b.yaml': STORE.replace('path: secret', 'path: kv') })).toEqual([
      expect.stringContaining('x/b.yaml:2:1 error check.duplicate_object SecretStore team/vault'),
    ]);
    // Twice the same does no harm.
    expect(found({ 'x/a.yaml': STORE, 'x/b.yaml': STORE })).toEqual([
      expect.stringContaining('warning check.duplicate_object'),
    ]);
    expect(found({ 'dev/a.yaml': STORE, 'prod/a.yaml': STORE })).toEqual([]);
  });
});

describe('what is filled in before it is applied', () => {
  test('is not judged: names, stores, keys and Secrets with ${...} in them', () => {
    const es = ONE_KEY.replace('name: app,', 'name: "app-${env}",')
      .replace('{ name: vault }', '{ name: "vault-${env}" }')
      .replace('key: app', 'key: "${env}/app"');
    expect(found(both(STORE, es), { paths: 'secret/x y' })).toEqual([]);
    expect(
      found(both(STORE, ONE_KEY.replace('key: app', 'key: "${env}/app"')), { paths: 'secret/x y' }),
    ).toEqual([]);
    expect(
      found({
        'a.yaml': STORE.replace('version', 'v').replace(
          'path: secret',
          'path: secret\n      version: "${v}"',
        ),
      }),
    ).toEqual([]);
  });
  test('a place in angle brackets is one that somebody forgot', () => {
    expect(found({ 'a.yaml': STORE.replace('namespace: team', 'namespace: <team>') })).toEqual([
      expect.stringContaining('error check.bad_name'),
    ]);
  });
});

describe('stores', () => {
  const codes = (lines: readonly string[]): string[] =>
    lines.map((line) => line.split(' ').slice(1, 3).join(' '));
  test('a store of another namespace is an error; one that no file has may be elsewhere', () => {
    const other = STORE.replace('namespace: team', 'namespace: other');
    expect(found(both(other, ONE_KEY))).toEqual([
      expect.stringContaining(
        'there is no SecretStore "vault" in namespace "team": that name is in namespace "other"',
      ),
    ]);
    expect(codes(found(both(ONE_KEY)))).toEqual(['warning check.store_missing']);
  });
  test('a store of the other kind is named as such', () => {
    const cluster = STORE.replace('SecretStore', 'ClusterSecretStore').replace(', namespace: team', '');
    expect(found(both(cluster, ONE_KEY))).toEqual([
      expect.stringContaining('that name is a ClusterSecretStore'),
    ]);
  });
  test('a ClusterSecretStore whose conditions leave a namespace out is refused, where the files are enough to know', () => {
    const cluster = (conditions: string): string =>
      `${STORE.replace('SecretStore', 'ClusterSecretStore').replace(', namespace: team', '')}  conditions: ${conditions}\n`;
    const es = ONE_KEY.replace('{ name: vault }', '{ name: vault, kind: ClusterSecretStore }');
    expect(codes(found(both(cluster('[{ namespaces: [other] }]'), es)))).toEqual([
      'error operator.store_denied',
    ]);
    expect(codes(found(both(cluster('[{ namespaces: [team] }]'), es)))).toEqual([]);
    const byLabel = cluster('[{ namespaceSelector: { matchLabels: { tier: gold } } }]');
    expect(codes(found(both(byLabel, es)))).toEqual([]);
    const namespace = '\napiVersion: v1\nkind: Namespace\nmetadata: { name: team, labels: { tier: tin } }\n';
    expect(codes(found(both(byLabel, es, namespace)))).toEqual(['error operator.store_denied']);
  });
  test('no reference of a namespaced store may leave its namespace, by whatever name it goes', () => {
    for (const [from, to] of [
      ['name: reader,', 'name: reader, namespace: other,'],
      ['path: secret', 'path: secret\n      caProvider: { type: Secret, name: ca, namespace: other }'],
    ] as const)
      expect(codes(found({ 'a.yaml': STORE.replace(from, to) }))).toEqual(['error operator.ref_namespace']);
  });
  test('two providers in one store, and one that does not exist, are told', () => {
    expect(codes(found({ 'a.yaml': `${STORE}    fake: { data: [] }\n` }))).toEqual([
      'error operator.provider_count',
    ]);
    expect(codes(found({ 'a.yaml': STORE.replace('    vault:', '    vaultt:') }))).toEqual([
      'error operator.unknown_provider',
    ]);
  });
});

describe('generators', () => {
  const drawing = (kind: string, name: string): string =>
    external(`  dataFrom: [{ sourceRef: { generatorRef: { kind: ${kind}, name: ${name} } } }]\n`);
  const PASSWORD = `
apiVersion: generators.external-secrets.io/v1alpha1
kind: Password
metadata: { name: long, namespace: team }
spec: { length: 40 }
`;
  test('one that is there is right; one that no file has, or of no kind, is told', () => {
    expect(found(both(PASSWORD, drawing('Password', 'long')))).toEqual([
      expect.stringContaining('warning check.store_missing no SecretStore "vault"'),
    ]);
    expect(found(both(STORE, PASSWORD, drawing('Password', 'lang')))).toEqual([
      expect.stringContaining(
        'warning check.store_missing no Password "lang" in namespace "team" is among these files; did you mean "long"?',
      ),
    ]);
    expect(found(both(STORE, PASSWORD, drawing('Passwort', 'long')))).toEqual([
      expect.stringContaining('error check.unknown_kind no kind Passwort is known'),
    ]);
  });
});

describe('roles and policies', () => {
  const files = (policy: string, ...more: string[]) => ({
    ...both(STORE, ONE_KEY, ...more),
    'team.hcl': policy,
  });
  test('a path that the policies of the role do not grant is an error that names the rule that decided', () => {
    const policy = 'path "secret/data/*" {\n  capabilities = ["list"]\n}\n';
    expect(found(files(policy), { server: ROLE })).toContainEqual(
      'a.yaml:22:20 error check.not_granted read of secret/data/app is not granted to the role "team" (team): path "secret/data/*" of the policy "team" (team.hcl:1) decides: the rule does not grant "read"',
    );
  });
  test('a rule for the path that people type is named, because that is what they forgot', () => {
    expect(found(files('path "secret/app" {\n  capabilities = ["read"]\n}\n'), { server: ROLE })).toEqual([
      expect.stringContaining(
        'path "secret/app" of the policy "team" (team.hcl:1) covers the path without "data/"',
      ),
    ]);
  });
  test('a rule that denies goes before one that grants', () => {
    const policy = `path "secret/data/*" {\n  capabilities = ["read"]\n}\npath "secret/data/app" {\n  capabilities = ["deny"]\n}\n`;
    expect(found(files(policy), { server: ROLE })).toEqual([expect.stringContaining('the rule denies')]);
  });
  test('without roles, a path that no policy grants is a warning', () => {
    expect(found(files('path "secret/data/x" {\n  capabilities = ["read"]\n}\n'))).toEqual([
      expect.stringMatching(/warning check\.not_granted .* anybody by these policies: no rule covers it/),
    ]);
  });
  test('a path that a rule may cover once it is filled in for the caller is not judged', () => {
    const policy = 'path "secret/data/{{identity.entity.name}}" {\n  capabilities = ["read"]\n}\n';
    expect(found(files(policy), { server: ROLE })).toEqual([]);
  });
  test('a role that names a policy which is not there is told once, and nothing is said of what it would grant', () => {
    expect(found({ ...both(STORE, ONE_KEY), 'teem.hcl': POLICY }, { server: ROLE })).toEqual([
      expect.stringContaining(
        'roles.yaml:5:- error check.policy_missing the role "team" names the policy "team", which is not there; did you mean "teem"?',
      ),
    ]);
  });
  test('a policy that the server refuses is told at its line', () => {
    const policy = 'path "a/b" {\n  capabilities = ["read"]\n}\npath "c/d" {\n  capabilities = ["reed"]\n}\n';
    expect(found({ 'p.hcl': policy })).toEqual([
      expect.stringMatching(/^p\.hcl:4:- error policy\.malformed .*invalid capability "reed"/),
    ]);
  });
  test('a role that is not there, does not let the account in, or asks for another audience, is told', () => {
    const with1 = (from: string, to: string): string[] =>
      found(both(STORE, ONE_KEY), { server: ROLE.replace(from, to) });
    expect(with1('    team:', '    teams:')).toEqual([expect.stringContaining('did you mean "teams"?')]);
    expect(with1('[reader]', '[writer]')).toEqual([
      expect.stringContaining(
        'does not let in the service account team/reader; it is bound to writer in team',
      ),
    ]);
    expect(with1('namespaces: [team]', 'namespaces: [other]')).toEqual([
      expect.stringContaining('check.role_unbound'),
    ]);
    expect(with1('audience: vault', 'audience: api')).toEqual([
      expect.stringContaining('check.role_audience'),
    ]);
    expect(with1('[reader]', '["*"]')).toEqual([]);
  });
  test('a store that names no audience logs in to a role for "vault" here, and not upstream', () => {
    const store = STORE.replace(', audiences: [vault]', '');
    expect(found(both(store, ONE_KEY), { server: ROLE })).toEqual([
      expect.stringContaining('upstream-only check.role_audience'),
    ]);
  });
  test('list below data/, and writing where nothing writes, are hardly meant', () => {
    const policy = 'path "secret/data/app" {\n  capabilities = ["read", "list", "update"]\n}\n';
    expect(found(files(policy), { server: ROLE })).toEqual([
      expect.stringContaining('team.hcl:1:- warning check.excess_write'),
      expect.stringContaining('team.hcl:1:- warning check.list_on_data'),
    ]);
  });
  test('what a PushSecret writes has to be granted, and is then no excess', () => {
    const push = `
apiVersion: external-secrets.io/v1alpha1
kind: PushSecret
metadata: { name: up, namespace: team }
spec:
  secretStoreRefs: [{ name: vault }]
  selector: { secret: { name: app } }
  data:
    - match: { secretKey: token, remoteRef: { remoteKey: app, property: token } }
`;
    const granting = 'path "secret/data/app" {\n  capabilities = ["read", "create", "update"]\n}\n';
    expect(found(files(granting, push), { server: ROLE })).toEqual([]);
    expect(found(files(POLICY, push), { server: ROLE })).toEqual([
      expect.stringContaining('check.not_granted create of secret/data/app'),
      expect.stringContaining('check.not_granted update of secret/data/app'),
    ]);
  });
  test('find asks for list on the folder of the names', () => {
    const find = external('  dataFrom:\n    - find: { path: team, name: { regexp: . } }\n');
    expect(found({ ...both(STORE, find), 'team.hcl': POLICY }, { server: ROLE })).toEqual([
      expect.stringContaining('list of secret/metadata/team/ is not granted'),
    ]);
  });
});

describe('paths', () => {
  test('a path that is not in the list, and a key that is not at it, are told with the nearest', () => {
    expect(found(both(STORE, ONE_KEY), { paths: 'secret/apps token' })).toEqual([
      expect.stringContaining(
        'check.path_missing nothing is stored at secret/app; did you mean "secret/apps"?',
      ),
    ]);
    expect(found(both(STORE, ONE_KEY), { paths: 'secret/app TOKEN_, other' })).toEqual([
      expect.stringContaining('check.property_missing secret/app has no key "token"; did you mean "TOKEN_"?'),
    ]);
  });
  test('where what is not there is left out, it is no error', () => {
    const es = ONE_KEY.replace('  secretStoreRef', '  target: { deletionPolicy: Delete }\n  secretStoreRef');
    expect(found(both(STORE, es), { paths: 'secret/other token' })).toEqual([
      expect.stringContaining('warning check.path_missing'),
    ]);
  });
  test('a path into a key is a path, and a path whose keys nobody gave has any', () => {
    const es = ONE_KEY.replace('property: token', 'property: token.inner.0');
    expect(found(both(STORE, es), { paths: 'secret/app token' })).toEqual([]);
    expect(found(both(STORE, ONE_KEY), { paths: 'secret/app' })).toEqual([]);
  });
  test('a seeding matrix is a list of paths', () => {
    const paths = 'SECRETS:\n  - { path: secret/app, key: tokens, var: "" }\n';
    expect(found(both(STORE, ONE_KEY), { paths })).toEqual([
      expect.stringContaining('did you mean "tokens"?'),
    ]);
  });
  test('a key that no server can have is told before anything is asked', () => {
    const es = ONE_KEY.replace('key: app', 'key: a/../b');
    expect(found(both(STORE, es), { paths: 'secret/app token' })).toEqual([
      expect.stringContaining('check.path_invalid'),
    ]);
  });
  test('a key of an engine is read from it here, and never upstream', () => {
    const es = ONE_KEY.replace('key: app', 'key: database/creds/app');
    expect(found(both(STORE, es))).toEqual([
      expect.stringContaining(
        'upstream-only check.engine_key External Secrets reads secret/data/database/creds/app here',
      ),
    ]);
    // What only looks like one is a secret, and so is what a policy or the list has as one.
    expect(found(both(STORE, ONE_KEY.replace('key: app', 'key: ci/token/app')))).toEqual([]);
    const reading = 'path "secret/data/database/creds/app" {\n  capabilities = ["read"]\n}\n';
    expect(found({ ...both(STORE, es), 'team.hcl': reading }, { server: ROLE })).toEqual([
      expect.stringContaining('upstream-only check.engine_key'),
    ]);
    expect(found(both(STORE, es), { paths: 'secret/database/creds/app token' })).toEqual([]);
  });
  test('a certificate needs a name, in its key or in an annotation', () => {
    const es = ONE_KEY.replace('key: app', 'key: pki/issue/web');
    expect(found(both(STORE, es))).toEqual([expect.stringContaining('error check.engine_parameters')]);
    expect(found(both(STORE, es.replace('issue/web', 'issue/web?common_name=a')))).toEqual([
      expect.stringContaining('upstream-only check.engine_key'),
    ]);
    const annotated = es.replace(
      'namespace: team',
      'namespace: team, annotations: { holdfast.dev/parameters: "pki/issue/web?common_name=a" }',
    );
    expect(found(both(STORE, annotated))).toEqual([
      expect.stringContaining('upstream-only check.engine_key'),
    ]);
  });
  test('the engine that a store reads has to be there, and of the version that it says', () => {
    const server = (mounts: string): Extras => ({ server: `mounts: ${mounts}\n` });
    expect(found(both(STORE), server('{ secrets/: kv-v2 }'))).toEqual([
      expect.stringContaining('a.yaml:9:7 error check.mount_missing'),
    ]);
    expect(found(both(STORE), server('{ secret/: kv-v1 }'))).toEqual([
      expect.stringContaining('the store reads "secret" as version 2, and the engine there is kv-v1'),
    ]);
  });
});

describe('what is rendered before it is applied', () => {
  const chart = { name: 'chart/templates/es.yaml', chart: true };
  const checked = (files: readonly { name: string; text: string; chart?: boolean }[]) =>
    check({ files, namespace: 'default', providers: all, locate: locateKeys });

  test('a template of a chart is told once, and nothing in it is judged', () => {
    const text = `${STORE}---${ONE_KEY.replace('name: app', "name: '{{ .Release.Name }}_'")}`;
    const { findings, objects } = checked([{ ...chart, text }]);
    expect(findings.map(({ line, class: cls, failure }) => [line, cls, failure.message])).toEqual([
      [17, 'warning', 'nothing in it was checked: it is a template of a chart, no manifest'],
    ]);
    expect(objects).toEqual([]);
    expect(checked([{ ...chart, text: STORE }]).objects).toHaveLength(1);
  });
  test('a value in bare braces makes it a template, not a map of a map', () => {
    const es = ONE_KEY.replace('key: app', 'key: {{ .Values.key }}').replace('{ key', '{key');
    const broken = `metadata:\n  name: app\n  namespace: {{ .Values.space }}\nkind: ExternalSecret\napiVersion: external-secrets.io/v1\n`;
    for (const text of [es, broken])
      expect(found({ 'a.yaml': text })).toEqual([
        expect.stringContaining(
          'warning check.unreadable nothing in it was checked: it is a template of a chart',
        ),
      ]);
    expect(found({ 'a.yaml': broken.replace('.Values.space', 'space') })).toEqual([
      expect.stringContaining(
        'a.yaml:3:- warning check.unreadable nothing in it was checked: it seems to be',
      ),
    ]);
  });

  const kustomization = (rest: string): string => `kind: Kustomization\n${rest}`;
  const bare = (text: string): string => text.replace(', namespace: team', '');
  test('objects are in the namespace that their kustomization sets, the outer one before the inner', () => {
    const files = {
      'base/kustomization.yaml': kustomization('namespace: inner\nresources: [es.yaml]\n'),
      'base/es.yaml': bare(ONE_KEY),
      'over/kustomization.yaml': kustomization('namespace: team\nresources: [../base, ns.yaml]\n'),
      'over/ns.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: { name: _ }\n',
      'store.yaml': STORE,
    };
    expect(found(files)).toEqual([]);
    // Held against a store in another: it is judged by where it goes.
    expect(found({ ...files, 'store.yaml': STORE.replace('namespace: team', 'namespace: inner') })).toEqual([
      expect.stringMatching(/^base\/es\.yaml:\d+:\d+ error check\.store_elsewhere .*"team".*"inner"/),
    ]);
  });
  test('so are those of a folder that a Kustomization of Flux names', () => {
    const flux = (space: string): string =>
      `apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: { name: app, namespace: flux-system }\nspec: { path: ./base, targetNamespace: ${space} }\n`;
    const files = {
      'repo/base/kustomization.yaml': kustomization('resources: [es.yaml]\n'),
      'repo/base/es.yaml': bare(ONE_KEY),
      'store.yaml': STORE,
    };
    expect(found({ ...files, 'flux.yaml': flux('team') })).toEqual([]);
    expect(found({ ...files, 'flux.yaml': flux('other') })).toEqual([
      expect.stringContaining('check.store_elsewhere'),
    ]);
  });
  test('what a kustomization generates is there, and kustomizations that go round end', () => {
    const pod =
      'apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: c, image: i, envFrom: [{ secretRef: { name: made } }] }] }\n';
    const all =
      'resources: [pod.yaml, ../b]\nnamespace: team\nsecretGenerator: [{ name: made, envs: [x] }]\n';
    expect(
      found({
        'a/kustomization.yaml': kustomization(all),
        'a/pod.yaml': pod,
        'b/kustomization.yaml': kustomization('resources: [../a]\n'),
      }),
    ).toEqual([]);
    expect(found({ 'a/pod.yaml': pod })).toEqual([expect.stringContaining('check.secret_missing')]);
  });
  test('what a patch may yet mend, or whoever applies it may place, is no error', () => {
    const wrong = bare(ONE_KEY).replace('secretStoreRef', 'secretStorRef');
    const listed = (more: string) => ({
      'k/kustomization.yaml': kustomization(`resources: [es.yaml]\n${more}`),
      'k/es.yaml': wrong,
    });
    const classes = (files: Record<string, string>): string[] =>
      found(files).map((line) => line.split(' ')[1] ?? '');
    expect(new Set(classes(listed('')))).toEqual(new Set(['error']));
    for (const more of ['patches: [{ path: p.yaml }]\n', 'components: [../c]\n'])
      expect(new Set(classes(listed(more)))).toEqual(new Set(['warning']));
    const adrift = { 'k/kustomization.yaml': kustomization('resources: [es.yaml]\n'), 's.yaml': STORE };
    expect(found({ ...adrift, 'k/es.yaml': bare(ONE_KEY) })).toEqual([
      expect.stringContaining('warning check.store_elsewhere'),
    ]);
    const stated = ONE_KEY.replace('namespace: team', 'namespace: other');
    expect(found({ ...adrift, 'k/es.yaml': stated })).toEqual([
      expect.stringContaining('error check.store_elsewhere'),
    ]);
  });
  test('a store that overlays have one each of lets in whoever any of them lets in', () => {
    const cluster = (space: string): string =>
      STORE.replace('kind: SecretStore', 'kind: ClusterSecretStore')
        .replace(', namespace: team', '')
        .replace('spec:\n', `spec:\n  conditions: [{ namespaces: [${space}] }]\n`)
        .replace('name: reader,', 'name: reader, namespace: x,');
    const es = ONE_KEY.replace('{ name: vault }', '{ name: vault, kind: ClusterSecretStore }');
    const both = { 'dev/s.yaml': cluster('other'), 'prod/s.yaml': cluster('team'), 'es.yaml': es };
    expect(found(both)).toEqual([]);
    const patched = kustomization('resources: [s.yaml]\npatches: [{ path: more.yaml }]\n');
    expect(
      found({ 'dev/kustomization.yaml': patched, 'dev/s.yaml': cluster('other'), 'es.yaml': es }),
    ).toEqual([]);
    expect(found({ ...both, 'prod/s.yaml': cluster('another') })).toEqual([
      expect.stringContaining('operator.store_denied'),
    ]);
  });
  test('one that changes more than that is told', () => {
    const files = [
      { name: 'k/kustomization.yaml', text: kustomization('namePrefix: x-\npatches: [{ path: p.yaml }]\n') },
      { name: 'l/kustomization.yaml', text: kustomization('namespace: y\nresources: [a.yaml]\n') },
    ];
    expect(checked(files).unrendered).toEqual([
      { file: 'k/kustomization.yaml', sets: ['namePrefix', 'patches'] },
    ]);
  });
});

describe('templates', () => {
  const templated = (text: string): string =>
    external(`  target:
    template:
      data:
        out: ${text}
  data:
    - secretKey: api-key
      remoteRef: { key: app }
`);
  const told = (text: string): string[] => found(both(STORE, templated(text)));

  test('a key that nothing gives is told at its character, with how to write the one that was meant', () => {
    expect(told('"x={{ .apiKey }}"')).toEqual([
      'a.yaml:23:20 error check.template_key the template reads "apiKey", and nothing gives it; did you mean "api-key"?',
    ]);
  });
  test('so it is in a block of several lines, and after an escape', () => {
    expect(told('|\n          one\n          two {{ .nothing }}')).toEqual([
      expect.stringContaining('a.yaml:25:18 error check.template_key'),
    ]);
    expect(told('"\\u0041\\n{{ .nothing }}"')).toEqual([
      expect.stringContaining('a.yaml:23:26 error check.template_key'),
    ]);
    expect(told("'it''s {{ .nothing }}'")).toEqual([
      expect.stringContaining('a.yaml:23:24 error check.template_key'),
    ]);
  });
  test('what is read under a condition, or may be skipped, is not judged', () => {
    expect(told(`'{{ if hasKey . "user" }}{{ .user }}{{ end }}'`)).toEqual([]);
    expect(told(`'{{ range $k, $v := . }}{{ $k }}={{ $v }}{{ end }}'`)).toEqual([]);
    expect(told(`'{{ or (index . "api-key") .user }}'`)).toEqual([]);
  });
  test('an index of what is not there is empty, and hardly meant', () => {
    expect(told(`'{{ index . "apikey" }}'`)).toEqual([expect.stringContaining('warning check.template_key')]);
    expect(told(`'{{ index . "api-key" }}'`)).toEqual([]);
  });
  test('a template that cannot be read is told at its character', () => {
    expect(told(`'ab {{ nope . }}'`)).toEqual([
      expect.stringMatching(/^a\.yaml:23:21 error template\.parse .*function "nope" not defined/),
    ]);
    expect(told('|\n          x\n          {{ if }}\n')).toEqual([
      expect.stringMatching(/^a\.yaml:25:\d+ error template\.parse/),
    ]);
  });
  test('where a store gives keys that no file tells, any may be there', () => {
    const es = external(`  target:
    template: { data: { out: "{{ .anything }}" } }
  dataFrom:
    - extract: { key: app }
`);
    expect(found(both(STORE, es))).toEqual([]);
    expect(found(both(STORE, es), { paths: 'secret/app one two' })).toEqual([
      expect.stringContaining('check.template_key'),
    ]);
    expect(found(both(STORE, es), { paths: 'secret/app anything' })).toEqual([]);
  });
  test('templates in ConfigMaps of the same files are read there', () => {
    const es = external(`  target:
    template:
      templateFrom:
        - configMap: { name: texts, items: [{ key: conf }, { key: gone }] }
  data:
    - secretKey: user
      remoteRef: { key: app }
`);
    const map = `
apiVersion: v1
kind: ConfigMap
metadata: { name: texts, namespace: team }
data:
  conf: |
    user = {{ .usr }}
`;
    expect(found({ ...both(STORE, es), 'map.yaml': map })).toEqual([
      expect.stringContaining('a.yaml:23:62 error operator.source_key'),
      expect.stringContaining('map.yaml:7:15 error check.template_key'),
    ]);
    expect(found(both(STORE, es))).toEqual([expect.stringContaining('warning check.source_missing')]);
  });
  test('a Secret of a type has the keys of that type', () => {
    const es = external(`  target:
    template: { type: kubernetes.io/tls, data: { tls.crt: a, key: b } }
  data:
    - secretKey: user
      remoteRef: { key: app }
`);
    expect(found(both(STORE, es))).toEqual([
      expect.stringContaining('has to have the key "tls.key", and this one has: tls.crt, key'),
    ]);
  });
});

describe('Secrets and who uses them', () => {
  const pod = (container: string, namespace = 'team'): string => `
apiVersion: v1
kind: Pod
metadata: { name: p, namespace: ${namespace} }
spec:
  containers:
    - name: c
      image: i
${container}`;
  const env = (name: string, key: string, more = ''): string =>
    `      env:\n        - name: E\n          valueFrom: { secretKeyRef: { name: ${name}, key: ${key}${more} } }\n`;

  test('a Secret that is made, with the key that is read, is right', () => {
    expect(found(both(STORE, ONE_KEY, pod(env('app', 'token'))))).toEqual([]);
  });
  test('one that nothing makes is a warning with the nearest; one that may be absent is none', () => {
    expect(found(both(STORE, ONE_KEY, pod(env('aps', 'token'))))).toEqual([
      expect.stringContaining(
        'nothing in these files makes the Secret team/aps, which container c reads into E; did you mean "app"?',
      ),
    ]);
    expect(found(both(STORE, ONE_KEY, pod(env('aps', 'token', ', optional: true'))))).toEqual([]);
  });
  test('one that is made in another namespace is told so', () => {
    expect(found(both(STORE, ONE_KEY, pod(env('app', 'token'), 'other')))).toEqual([
      expect.stringContaining('; ExternalSecret team/app makes one of that name in namespace team'),
    ]);
  });
  test('a key that the Secret will not have is an error', () => {
    expect(found(both(STORE, ONE_KEY, pod(env('app', 'tokens'))))).toEqual([
      expect.stringContaining(
        'error check.secret_key_missing the Secret team/app, which ExternalSecret team/app makes, has no key "tokens"; did you mean "token"?',
      ),
    ]);
  });
  test('what Merge adds to, somebody else makes', () => {
    const merging = ONE_KEY.replace(
      '  secretStoreRef',
      '  target: { creationPolicy: Merge }\n  secretStoreRef',
    );
    expect(found(both(STORE, merging, pod(env('app', 'token'))))).toEqual([
      expect.stringContaining('check.secret_missing'),
    ]);
  });
  test('volumes, whole environments and pull secrets are uses, too', () => {
    const text = pod(`      envFrom: [{ secretRef: { name: a } }]
  imagePullSecrets: [{ name: b }]
  volumes:
    - { name: v, secret: { secretName: c } }
    - { name: w, projected: { sources: [{ secret: { name: d } }] } }
`);
    expect(found({ 'a.yaml': text }).map((line) => /Secret team\/(\w)/.exec(line)?.[1])).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });
  test('certificates, sealed secrets and classes of the CSI driver make Secrets, too', () => {
    const made = `
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: { name: x, namespace: team }
spec: { secretName: tls }
`;
    expect(found(both(made, pod(env('tls', 'tls.crt'))))).toEqual([]);
  });
  test('two ExternalSecrets that would own one Secret are told', () => {
    const second = ONE_KEY.replace('name: app,', 'name: second,').replace(
      '  secretStoreRef',
      '  target: { name: app }\n  secretStoreRef',
    );
    expect(found(both(STORE, ONE_KEY, second))).toEqual([
      expect.stringContaining('error check.shared_target'),
    ]);
  });
});

test('the platform that the program brings along has nothing that is wrong', () => {
  const folder = fileURLToPath(new URL('../../../examples/platform', import.meta.url));
  const files = readdirSync(`${folder}/manifests`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => [entry.name, `${entry.parentPath}/${entry.name}`] as const);
  const texts = Object.fromEntries(
    files.map(([, path]) => [path.slice(folder.length), readFileSync(path, 'utf8')]),
  );
  const lines = found(texts, { paths: readFileSync(`${folder}/secrets.yaml`, 'utf8') });
  // Two of its manifests are of an older version, on purpose.
  expect(lines.filter((line) => !line.includes(' upstream-only check.not_served_upstream '))).toEqual([]);
});

test('whatever stands in the files, a check ends and tells', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          'spec',
          'metadata',
          'name',
          'provider',
          'vault',
          'data',
          'remoteRef',
          'key',
          'template',
          'auth',
        ),
        tie('any'),
        { maxKeys: 4 },
      ),
    ),
  })).any;
  const kind = fc.constantFrom(
    'ExternalSecret',
    'SecretStore',
    'ClusterSecretStore',
    'ClusterExternalSecret',
    'PushSecret',
    'Deployment',
    'List',
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(kind, value, value), { maxLength: 3 }), fc.string(), (objects, policy) => {
      const text = objects
        .map(([name, spec, metadata]) =>
          JSON.stringify({ apiVersion: 'external-secrets.io/v1', kind: name, metadata, spec }),
        )
        .join('\n---\n');
      expect(Array.isArray(found({ 'a.yaml': text, 'p.hcl': policy }))).toBe(true);
    }),
    { numRuns: 300 },
  );
});
