/**
 * The documents that this project started from, applied as they stand with the real kubectl: every object of a kind of ours
 * syncs, or says what in the document is wrong. What was found is printed, line by line.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { HostPort } from '../../src/bin/dev/options.ts';
import type { KubeObject, Resource } from '../../src/kube/kube.ts';
import { knownKinds } from '../../src/operator/api/crds.ts';
import { type Kubectl, kubectl, noKubectl } from '../support/kubectl.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { startAgreeableRedis } from '../support/redis.ts';
import { type Found, manifestsOf } from './documents.ts';
import {
  type Engine,
  type Expectation,
  expectations,
  type Outcome,
  type Role,
  type Step,
} from './expectations.ts';

const FOLDER = fileURLToPath(new URL('../../../shared/seeds', import.meta.url));
const noSeeds = existsSync(FOLDER) ? undefined : `there are no documents in ${FOLDER}`;
const skipped = noSeeds ?? noKubectl;
if (skipped !== undefined) console.warn(`SKIPPED test/seeds: ${skipped}`);

/** All that an operator looks after, so that no manifest of a document is left out. */
const RESOURCES: ReadonlyMap<string, Resource> = new Map(
  knownKinds().map(({ resource }) => [`${resource.group}/${resource.kind}`, resource]),
);
const idOfKind = ({ apiVersion, kind }: KubeObject): string => `${apiVersion.split('/')[0]}/${kind}`;

const EXTERNAL_VAULT = 'vault.example.com:8200';
/** What failed is tried again 25 s later at most. */
const LONGEST_RETRY_MS = 40_000;

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

const scopeOf = ({ kind, metadata }: KubeObject): string =>
  kind === 'ClusterSecretStore' ? '' : `${metadata.namespace ?? 'default'}/`;
const idOf = ({ line, object }: Found): string =>
  `${line} ${object.kind} ${scopeOf(object)}${object.metadata.name}`;

describe.skipIf(skipped !== undefined)('the seed documents', () => {
  const files = skipped === undefined ? readdirSync(FOLDER).filter((name) => name.endsWith('.txt')) : [];
  const printed: string[] = [];
  afterAll(() => console.info(printed.join('\n')));

  test('there is an expectation for each document, and a document for each expectation', () => {
    expect(files).toEqual(Object.keys(expectations));
  });

  for (const file of files) {
    const { found, passedOver } = manifestsOf(readFileSync(`${FOLDER}/${file}`, 'utf8'));
    const applied = found.filter(({ object }) => RESOURCES.has(idOfKind(object)));
    const expected = expectations[file] ?? { roles: [], steps: [] };

    test(`${file}: every object of a kind of ours has an outcome, and nothing else is left out without a reason`, () => {
      expect(Object.keys(expected.steps[0]?.outcomes ?? {}).sort()).toEqual(applied.map(idOf).sort());
      printed.push(`${file}: ${applied.length} applied`);
      for (const { line, why } of passedOver) printed.push(`  passed over  ${file}:${line} (${why})`);
    });

    if (expected.steps.length === 0) continue;
    test(`${file}: each object syncs, or says what the document has wrong`, async () => {
      await applyDocument(applied, expected, (line) => printed.push(`  ${file}:${line}`));
    }, 120_000);
  }
});

async function applyDocument(
  applied: readonly Found[],
  expected: Expectation,
  print: (line: string) => void,
): Promise<void> {
  const resolve = new Map<string, HostPort>([[EXTERNAL_VAULT, { host: '127.0.0.1', port: 0 }]]);
  const redis = await startAgreeableRedis();
  const platform = await startTestPlatform({ resolve });
  try {
    resolve.set(EXTERNAL_VAULT, platform.listener.address);
    const control = kubectl(platform.env);
    const objects = applied.map(({ object }) => object);
    for (const [index, step] of expected.steps.entries()) {
      const extra = step.objects ?? [];
      const replaced = new Set(
        extra.map((object) => `${object.kind} ${scopeOf(object)}${object.metadata.name}`),
      );
      const standing = objects.filter(
        (object) => !replaced.has(`${object.kind} ${scopeOf(object)}${object.metadata.name}`),
      );
      await makeReady(platform, control, [...standing, ...extra], expected.roles);
      await store(platform, step);
      for (const engine of step.engines ?? []) await enable(platform, engine, redis.port);
      if (extra.length > 0) await control.apply(...extra);
      if (index === 0) await control.apply(...applied.map(({ text }) => text));
      print(`-- ${step.when}`);
      await expectOutcomes(platform, step, print);
      await expectValues(control, step);
    }
  } finally {
    await platform.stop();
    await redis.close();
  }
}

/** Namespaces, accounts, roles and policies: what an installation has before anybody applies anything. */
async function makeReady(
  platform: TestPlatform,
  control: Kubectl,
  objects: readonly KubeObject[],
  roles: readonly Role[],
): Promise<void> {
  await platform.grant(objects);
  const accounts = roles.flatMap((role) => role.accounts);
  const namespaces = new Set([
    ...objects
      .filter((object) => object.kind !== 'ClusterSecretStore')
      .map((o) => o.metadata.namespace ?? 'default'),
    ...accounts.map(([namespace]) => namespace),
  ]);
  await control.apply(
    ...[...namespaces].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    ...accounts.map(([namespace, name]) => ({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace, name },
    })),
  );
  for (const role of roles) {
    await platform.root.request('PUT', `auth/kubernetes/role/${role.name}`, {
      body: {
        bound_service_account_names: [...new Set(role.accounts.map(([, name]) => name))],
        bound_service_account_namespaces: [...new Set(role.accounts.map(([namespace]) => namespace))],
        token_policies: role.policies,
      },
    });
  }
}

async function store(platform: TestPlatform, step: Step): Promise<void> {
  for (const [path, data] of Object.entries(step.secrets ?? {}))
    await platform.root.request('PUT', `secret/data/${path}`, { body: { data } });
}

/** Mounts an engine; a `database` makes its accounts in a database that agrees to all. */
async function enable({ root }: TestPlatform, engine: Engine, port: number): Promise<void> {
  const { mount, type, writes } = engine;
  await root.request('PUT', `sys/mounts/${mount}`, { body: { type, config: { max_lease_ttl: '8760h' } } });
  const connection = {
    plugin_name: 'redis-database-plugin',
    host: '127.0.0.1',
    port,
    username: 'keeper',
    password: 'pass',
    allowed_roles: '*',
  };
  const all = type === 'database' ? { 'config/double': connection, ...writes } : writes;
  for (const [path, body] of Object.entries(all)) await root.request('PUT', `${mount}/${path}`, { body });
}

async function expectOutcomes(
  platform: TestPlatform,
  step: Step,
  print: (line: string) => void,
): Promise<void> {
  const unmet: string[] = [];
  for (const [id, outcome] of Object.entries(step.outcomes)) {
    const [, kind = '', full = ''] = id.split(' ');
    const [name = '', namespace] = full.split('/').reverse();
    const resource = [...RESOURCES.values()].find((one) => one.kind === kind);
    if (resource === undefined) throw new Error(`no such kind: ${id}`);
    let seen = 'nothing';
    const look = async (): Promise<true | undefined> => {
      const object = await platform.kube.get({
        resource,
        name,
        ...(namespace === undefined ? {} : { namespace }),
      });
      const ready = readyOf(object);
      seen = `${ready['status'] ?? ''} ${ready['reason'] ?? ''}: ${ready['message'] ?? ''}`;
      return meets(ready, outcome) || undefined;
    };
    await eventually(id, look, LONGEST_RETRY_MS).catch(() => unmet.push(`${id}: ${seen}`));
    print(`${id} -> ${seen}`);
  }
  expect(unmet).toEqual([]);
}

function readyOf(object: KubeObject | undefined): Readonly<Record<string, unknown>> {
  const conditions = record(object?.['status'])['conditions'];
  const all: unknown[] = Array.isArray(conditions) ? conditions : [];
  return all.map(record).find((condition) => condition['type'] === 'Ready') ?? {};
}

const meets = (ready: Readonly<Record<string, unknown>>, { ready: status, reason, says }: Outcome): boolean =>
  ready['status'] === status && ready['reason'] === reason && says.test(String(ready['message']));

async function expectValues(control: Kubectl, step: Step): Promise<void> {
  const wanted = { ...step.values, ...step.shapes };
  if (Object.keys(wanted).length === 0) return;
  const { items } = JSON.parse(await control.ok('get secrets -A -o json')) as { items: KubeObject[] };
  const seen = Object.keys(wanted).map((id) => {
    const [full = '', key = ''] = id.split(' ');
    const [namespace, name] = full.split('/');
    const secret = items.find((one) => one.metadata.namespace === namespace && one.metadata.name === name);
    const text = record(secret?.['data'])[key];
    return [id, typeof text === 'string' ? Buffer.from(text, 'base64').toString() : undefined];
  });
  const shapes = Object.entries(step.shapes ?? {}).map(([id, shape]) => [id, expect.stringMatching(shape)]);
  expect(Object.fromEntries(seen)).toEqual({ ...step.values, ...Object.fromEntries(shapes) });
}
