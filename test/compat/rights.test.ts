/**
 * The operator's rights against what it asks for. It runs with the roles of `deploy/operator` and is led through all that it can
 * do; every request that the API saw of it is compared with the table that the roles are made of, both ways: a right that
 * nothing uses is as wrong as one that is missing.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { KubeObject } from '../../src/kube/kube.ts';
import { GENERATOR_KINDS } from '../../src/operator/api/generators/kinds.ts';
import { OPERATOR_OWN_RIGHTS, OPERATOR_RIGHTS, type Right } from '../../src/operator/api/rights.ts';
import { runReplica } from '../../src/operator/leadership/run.ts';
import { noKubectl } from '../support/kubectl.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { type AgreeableRedis, issueAccounts, startAgreeableRedis } from '../support/redis.ts';
import { entry, makeTeam, type Team, textsOf } from '../support/team.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/rights: ${noKubectl}`);

/** Rights that no request of the operator shows, and why they are there. */
const UNSEEN: readonly RegExp[] = [
  // An API server asks for it by itself, where it guards owner references (OpenShift does).
  /^external-secrets\.io\/\w+\/finalizers update$/,
  // Only for operators of several replicas, which `src/operator/leadership` tests.
  /^coordination\.k8s\.io\/leases /,
  // Only with --webhook-address, which the tests of `src/bin/operator/webhook` use.
  /^admissionregistration\.k8s\.io\/validatingwebhookconfigurations /,
  // After a grace of two minutes, which the tests of `src/operator/generators` do not wait for.
  /^generators\.external-secrets\.io\/generatorstates delete$/,
];

const OPERATOR = 'system:serviceaccount:holdfast-system:holdfast-operator';
const asked = (rights: readonly Right[]): string[] =>
  rights.flatMap(({ group, resource, verbs }) => verbs.map((verb) => `${group}/${resource} ${verb}`));

describe.skipIf(noKubectl !== undefined)('the rights of the operator', () => {
  let platform: TestPlatform;
  let team: Team;
  let redis: AgreeableRedis;

  interface Line {
    readonly msg: string;
    readonly user: string;
    readonly group: string;
    readonly resource: string;
    readonly verb: string;
    readonly allowed: boolean;
  }
  /** What the API was asked by the operator, as its log says. */
  const requests = async (): Promise<readonly Line[]> =>
    (await platform.logged())
      .split('\n')
      .filter((line) => line.includes('"msg":"asked"') && line.includes(OPERATOR))
      .map((line) => JSON.parse(line) as Line);

  const of = (kind: string, name: string, spec: object, more: object = {}): object => ({
    apiVersion: 'external-secrets.io/v1',
    kind,
    metadata: { name, namespace: 'shop' },
    spec,
    ...more,
  });
  const generator = (kind: string, name: string, spec: object): object => ({
    ...(of(kind, name, spec) as KubeObject),
    apiVersion: 'generators.external-secrets.io/v1alpha1',
  });
  const generated = (name: string, kind: string, from: string): object =>
    of('ExternalSecret', name, {
      refreshInterval: '1h',
      target: { name },
      dataFrom: [
        {
          sourceRef: {
            generatorRef: { apiVersion: 'generators.external-secrets.io/v1alpha1', kind, name: from },
          },
        },
      ],
    });

  beforeAll(async () => {
    redis = await startAgreeableRedis();
    platform = await startTestPlatform();
    team = await makeTeam(platform, 'shop');
  });
  afterAll(async () => {
    await platform?.stop();
    await redis?.close();
  });

  test('are what it uses, and it uses no other', { timeout: 120_000 }, async () => {
    const { kubectl } = team;
    await secretsOfAllKinds();
    await storesThatLogIn();
    await generatorsOfAllKinds();
    await enginesThatIssue();
    await pushesAndClusterKinds();
    const wanted = new Set(asked(OPERATOR_RIGHTS));
    const expected = [...wanted].filter((right) => !UNSEEN.some((excused) => excused.test(right)));
    const used = await eventually(
      'all rights are used',
      async () => {
        const seen = new Set(
          (await requests()).map(({ group, resource, verb }) => `${group}/${resource} ${verb}`),
        );
        return expected.every((right) => seen.has(right)) ? seen : undefined;
      },
      40_000,
    ).catch(async () => {
      const lines = await requests();
      return new Set(lines.map(({ group, resource, verb }) => `${group}/${resource} ${verb}`));
    });
    expect(expected.filter((right) => !used.has(right)).sort()).toEqual([]);
    expect([...used].filter((right) => !wanted.has(right)).sort()).toEqual([]);
    expect((await requests()).filter(({ allowed }) => !allowed)).toEqual([]);
    await kubectl.ok('get ns shop');
  });

  test('of several replicas over their Leases are what those use', async () => {
    const used = new Set<string>();
    const { kube } = platform;
    const spied = new Proxy(kube, {
      get(target, verb: keyof typeof kube) {
        const call = target[verb];
        if (typeof call !== 'function') return call;
        return (
          of: { readonly resource: { readonly group: string; readonly plural: string } },
          ...rest: []
        ) => {
          used.add(`${of.resource.group}/${of.resource.plural} ${verb}`);
          return (call as (...given: unknown[]) => unknown)(of, ...rest);
        };
      },
    });
    for (const mode of ['shards', 'leader'] as const) {
      const stop = new AbortController();
      const idle = {
        start: (signal: AbortSignal) =>
          new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
        drained: async () => {},
      };
      let works = false;
      const running = runReplica(
        {
          kube: spied,
          mode,
          namespace: 'holdfast-system',
          group: `rights-${mode}`,
          identity: 'one',
          clock: systemClock,
          log: silentLog,
          leaseMs: 1500,
          renewMs: 1000,
          retryMs: 200,
        },
        () => idle as never,
        stop.signal,
        (operator) => {
          works ||= operator !== undefined;
        },
      );
      await eventually(`${mode} works`, () => works || undefined);
      await new Promise((resolve) => setTimeout(resolve, 1200));
      stop.abort();
      await running;
    }
    expect([...used].sort()).toEqual(asked(OPERATOR_OWN_RIGHTS).sort());
  });

  /** Made, changed, deleted; templates over ConfigMaps; an event that repeats. */
  async function secretsOfAllKinds(): Promise<void> {
    await team.put('app', { password: 'one' });
    await team.kubectl.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'template', namespace: 'shop' },
      data: { a: '{{ .password }}' },
    });
    await team.externalSecret('app', {
      target: {
        deletionPolicy: 'Delete',
        template: { templateFrom: [{ configMap: { name: 'template', items: [{ key: 'a' }] } }] },
      },
      data: [entry('password', 'secret/shop/app', 'password')],
    });
    await team.holds('app', { a: 'one' });
    await team.put('app', { password: 'two' });
    await team.holds('app', { a: 'two' });
    await team.externalSecret('bad', { data: [entry('a', 'secret/shop/none', 'a')] });
    await team.says('bad', /^False/);
    for (const round of ['1', '2']) {
      await team.kubectl.ok(`annotate es bad -n shop force-sync=${round} --overwrite`);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    await team.kubectl.ok('delete es app -n shop --wait=true');
    await team.gone('app');
  }

  /** By tokens of accounts, what is written on them, and authorities in ConfigMaps. */
  async function storesThatLogIn(): Promise<void> {
    await team.kubectl.apply(
      of('SecretStore', 'aws', {
        provider: {
          aws: {
            service: 'SecretsManager',
            region: 'eu-west-1',
            auth: { jwt: { serviceAccountRef: { name: 'external-secrets' } } },
          },
        },
      }),
      {
        ...(of('ClusterSecretStore', 'all', {
          provider: { fake: { data: [{ key: 'k', value: 'v' }] } },
        }) as object),
        metadata: { name: 'all' },
      },
    );
  }

  async function generatorsOfAllKinds(): Promise<void> {
    const kinds = [...GENERATOR_KINDS.map(({ resource }) => resource.kind), 'ClusterGenerator'];
    await team.kubectl.apply(
      generator('Password', 'made', { length: 20, allowRepeat: true }),
      generated('made', 'Password', 'made'),
      of(
        'DatabaseSecret',
        'rows',
        { backend: 'none', vaultRole: 'app' },
        { apiVersion: 'external-secrets.io/v1alpha1' },
      ),
      ...kinds.map((kind) => generated(`none-${kind.toLowerCase()}`, kind, 'none')),
    );
    await eventually('a password is made', async () => team.secret('made'));
  }

  /** Keys that name an engine, and a generator whose account has to be taken away again. */
  async function enginesThatIssue(): Promise<void> {
    const write = (path: string, body: object) => platform.root.request('PUT', path, { body });
    await issueAccounts(write, redis);
    await team.externalSecret('pair', { data: [entry('username', 'database/creds/app', 'username')] });
    await eventually('an account is issued', async () => {
      const secret = await team.secret('pair');
      return secret !== undefined && textsOf(secret)['username'] !== undefined ? true : undefined;
    });
    await team.kubectl.ok('annotate es pair -n shop force-sync=1');
    await team.kubectl.apply(
      generator('VaultDynamicSecret', 'account', {
        path: 'database/creds/app',
        provider: {
          server: 'http://vault.vault-system.svc.cluster.local:8200',
          auth: {
            kubernetes: {
              mountPath: 'kubernetes',
              role: 'eso-shop-role',
              serviceAccountRef: { name: 'external-secrets', audiences: ['vault'] },
            },
          },
        },
      }),
      generated('account', 'VaultDynamicSecret', 'account'),
    );
    await eventually('the generator made one, too', async () => team.secret('account'));
    await team.kubectl.ok('delete es account pair -n shop --wait=true');
  }

  async function pushesAndClusterKinds(): Promise<void> {
    const pushed = (name: string, deletionPolicy: string) => ({
      refreshInterval: '1h',
      secretStoreRefs: [{ name, kind: 'ClusterSecretStore' }],
      deletionPolicy,
      selector: { secret: { name: 'made' } },
      data: [{ match: { secretKey: 'password', remoteRef: { remoteKey: 'pushed' } } }],
    });
    const v1alpha1 = (object: object): object => ({ ...object, apiVersion: 'external-secrets.io/v1alpha1' });
    const cluster = (kind: string, name: string, spec: object): object => ({
      ...(of(kind, name, spec) as object),
      metadata: { name },
    });
    await team.kubectl.ok('label ns shop tier=gold');
    await team.kubectl.apply(
      of('SecretStore', 'own', { provider: { fake: { data: [] } } }),
      v1alpha1(of('PushSecret', 'push', pushed('all', 'Delete'))),
      v1alpha1(
        of('PushSecret', 'push-own', {
          ...pushed('own', 'Delete'),
          secretStoreRefs: [{ name: 'own', kind: 'SecretStore' }],
        }),
      ),
      cluster('ClusterExternalSecret', 'everywhere', {
        namespaceSelectors: [{ matchLabels: { tier: 'gold' } }],
        externalSecretName: 'child',
        externalSecretSpec: {
          refreshInterval: '1h',
          secretStoreRef: { name: 'all', kind: 'ClusterSecretStore' },
          data: [{ secretKey: 'k', remoteRef: { key: 'k' } }],
        },
      }),
      v1alpha1(
        cluster('ClusterPushSecret', 'everywhere', {
          namespaceSelectors: [{ matchLabels: { tier: 'gold' } }],
          pushSecretName: 'child',
          pushSecretSpec: pushed('all', 'None'),
        }),
      ),
    );
    const exists = (kind: string, name: string): Promise<true> =>
      eventually(
        `${kind} ${name} is there`,
        async () => (await team.kubectl.run(`get ${kind} ${name} -n shop`)).code === 0 || undefined,
      );
    await exists('externalsecret', 'child');
    await exists('pushsecret', 'child');
    await team.kubectl.ok(
      'wait --for=condition=Ready pushsecret/push pushsecret/push-own -n shop --timeout=20s',
    );
    for (const kind of ['externalsecret', 'pushsecret'])
      await team.kubectl.ok(
        `patch ${kind} child -n shop --type=merge -p '{"spec":{"refreshInterval":"7m"}}'`,
      );
    await team.kubectl.ok('delete pushsecret push push-own -n shop --wait=true');
    await team.kubectl.ok('label ns shop tier-');
    for (const kind of ['externalsecret', 'pushsecret'])
      await eventually(
        `the ${kind} child is gone`,
        async () => (await team.kubectl.run(`get ${kind} child -n shop`)).code !== 0 || undefined,
      );
    await team.kubectl.ok('delete clusterexternalsecret,clusterpushsecret everywhere --wait=true');
  }
});
