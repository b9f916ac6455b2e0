import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { textOf, utf8 } from '../../../base/bytes.ts';
import { type Code, Failure, failure } from '../../../base/errors.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import { pushSecretSpec, pushSecretStatus } from '../../api/pushsecret.ts';
import { resourceVersion } from '../../hash.ts';
import type { Action, StoreName } from '../../plan.ts';
import { plainEnv } from '../../testing/render.ts';
import { storeId } from '../externalsecret/observed.ts';
import {
  formerStores,
  kindOf,
  type Observed,
  type Outcome,
  type Source,
  type StoreSeen,
  type Write,
} from './observed.ts';
import { plan } from './plan.ts';

interface GivenSource {
  name?: string;
  data?: Record<string, string>;
  type?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  touched?: string;
}
type GivenStore = 'foreign' | 'leaving' | { refused?: string; labels?: Record<string, string> };

/** See fixtures/README.md. */
interface Case {
  name: string;
  now?: string;
  meta?: Record<string, unknown>;
  spec: Record<string, unknown>;
  status?: Record<string, unknown> & { synced?: boolean };
  source?: GivenSource | 'missing' | 'generator';
  sources?: GivenSource[];
  stores?: Record<string, GivenStore>;
  demanded?: boolean;
  templates?: Record<string, KubeObject>;
  outcomes?: Record<string, string>;
  expect: {
    writes?: string[];
    before?: string[];
    does?: string[];
    ready?: string;
    reason?: string;
    message?: string;
    event?: string;
    patch?: Record<string, unknown>;
    requeue?: string | null;
    retry?: boolean;
    generates?: boolean;
    pushed?: Record<string, unknown>;
  };
}

const folder = join(import.meta.dirname, 'fixtures');
const FINALIZER = 'pushsecret.externalsecrets.io/finalizer';

function objectOf({ spec, meta }: Case): KubeObject {
  const deletes = spec['deletionPolicy'] === 'Delete';
  return {
    apiVersion: 'external-secrets.io/v1alpha1',
    kind: 'PushSecret',
    metadata: {
      name: 'push',
      namespace: 'team',
      uid: 'ps-uid',
      generation: 1,
      resourceVersion: '7',
      ...(deletes ? { finalizers: [FINALIZER] } : {}),
      ...meta,
    },
    spec,
  };
}

const sourceOf = ({
  name = 'app',
  data = {},
  touched,
  type,
  labels = {},
  annotations = {},
}: GivenSource): Source => ({
  name: `Secret ${name}`,
  labels,
  annotations,
  data: new Map(Object.entries(data).map(([key, text]) => [key, utf8(text)])),
  ...(type === undefined ? {} : { type }),
  ...(touched === undefined ? {} : { touched: Date.parse(touched) }),
});

function sourcesOf({ source = {}, sources }: Case): Observed['sources'] {
  if (sources !== undefined) return { secrets: sources.map(sourceOf) };
  if (source === 'missing') return { missing: 'app' };
  return source === 'generator' ? { ungenerated: true } : { secrets: [sourceOf(source)] };
}

function seen(store: StoreName, given: GivenStore | undefined): StoreSeen {
  const common = { store, labels: {}, leaving: given === 'leaving' };
  if (given === 'foreign') return { ...common, sight: { foreign: true } };
  if (given === undefined || given === 'leaving') return { ...common, sight: { usable: true } };
  const { refused, labels = {} } = given;
  const reason = refused ?? '';
  return {
    ...common,
    labels,
    sight:
      refused === undefined
        ? { usable: true }
        : { refused: failure('operator.store_not_ready', { kind: store.kind, name: store.name, reason }) },
  };
}

function observedOf(given: Case): Observed {
  const object = objectOf(given);
  const spec = pushSecretSpec.parse(given.spec);
  const { synced, ...status } = given.status ?? {};
  const parsed = pushSecretStatus.parse({
    ...status,
    ...(synced === true ? { syncedResourceVersion: resourceVersion(object) } : {}),
  });
  const named = spec.secretStoreRefs.flatMap(({ name, kind }): StoreName[] =>
    name === undefined ? [] : [{ name, kind: kindOf({ kind }) }],
  );
  const stores = given.stores ?? {};
  const labelled = Object.keys(stores)
    .map((id) => formerStores({ syncedPushSecrets: { [id]: {} } })[0])
    .filter(
      (store): store is StoreName =>
        store !== undefined && !named.some((one) => storeId(one) === storeId(store)),
    );
  const byLabel = spec.secretStoreRefs.some(({ labelSelector }) => labelSelector !== undefined)
    ? labelled
    : [];
  return {
    object,
    status: parsed,
    spec,
    sources: sourcesOf(given),
    chosen: [...named, ...byLabel].map((store) => seen(store, stores[storeId(store)])),
    former: new Map(
      formerStores(parsed).map((store) => [storeId(store), seen(store, stores[storeId(store)])]),
    ),
    templates: new Map(Object.entries(given.templates ?? {})),
    demanded: given.demanded ?? false,
    prepared: false,
    outcomes: new Map(),
  };
}

function lineOf(write: Write): string {
  const { key, property } = write.target;
  const place = `${storeId(write.store)} ${write.do} ${key}${property === undefined ? '' : `[${property}]`}`;
  if (write.do === 'delete') return place;
  const { value } = write;
  const text = 'bytes' in value ? textOf(value.bytes) : value.json;
  return `${place} = ${text}${write.onlyNew ? ' (only new)' : ''}`;
}

const outcomeOf = (write: Write, given: string | undefined): Outcome => {
  if (given === undefined) return { done: write.do === 'put' ? 'written' : 'deleted' };
  const [code = '', reason = ''] = given.split(': ');
  if (!code.includes('.')) return { done: code as 'written' };
  return {
    failed: new Failure(code as Code, {
      store: 'store',
      path: write.target.key,
      reason,
      request: '',
      errors: reason,
    }),
  };
};

const actionLine = (action: Action): string => {
  switch (action.do) {
    case 'event':
      return `event ${action.note.type} ${action.note.reason}: ${action.note.message}`;
    case 'patch':
      return `finalizers ${JSON.stringify((action.patch as { metadata: { finalizers: string[] } }).metadata.finalizers)}`;
    case 'status':
      return 'conditions' in action.status ? 'status' : 'record';
    default:
      return action.do;
  }
};

/** Asks the plan until it has no more writes, or only once where the case says nothing of their outcomes. */
function run(given: Case) {
  const now = new Date(given.now ?? '2026-06-01T12:00:00Z');
  let observed = observedOf(given);
  const writes: Write[] = [];
  const before: Action[] = [];
  for (;;) {
    const next = plan(observed, now, plainEnv);
    if ('generate' in next) return { generates: true, writes, before, end: undefined };
    if (!('writes' in next)) return { generates: false, writes, before, end: next };
    writes.push(...next.writes);
    before.push(...next.before);
    if (given.outcomes === undefined) return { generates: false, writes, before, end: undefined };
    expect(next.writes.length, 'a plan that asks for writes asks for new ones').toBeGreaterThan(0);
    const made = next.writes.map(
      (write) => [write.id, outcomeOf(write, given.outcomes?.[lineOf(write).split(' = ')[0] ?? ''])] as const,
    );
    observed = {
      ...observed,
      prepared: true,
      outcomes: new Map([...observed.outcomes, ...made]),
      ...(next.record === undefined ? {} : { record: next.record }),
    };
  }
}

for (const file of readdirSync(folder).filter((name) => name.endsWith('.yaml'))) {
  const cases = parse(readFileSync(join(folder, file), 'utf8')) as Case[];
  describe(file.replace('.yaml', ''), () => {
    test('has cases', () => expect(cases.length).toBeGreaterThan(0));
    for (const given of cases) {
      test(given.name, () => {
        const want = given.expect;
        expect(Object.keys(want).length, 'a case expects something').toBeGreaterThan(0);
        const got = run(given);
        expect(got.generates).toBe(want.generates ?? false);
        if (want.writes !== undefined) expect(got.writes.map(lineOf)).toEqual(want.writes);
        if (want.before !== undefined) expect(got.before.map(actionLine)).toEqual(want.before);
        if (want.pushed !== undefined) expect(got.writes[0]).toMatchObject(want.pushed);
        const actions = got.end?.actions ?? [];
        if (want.does !== undefined) expect(actions.map(actionLine)).toEqual(want.does);
        if (want.event !== undefined) expect(actions.map(actionLine)).toContain(want.event);
        const told = actions.find((action) => action.do === 'status');
        const status = told?.do === 'status' ? (told.status as Record<string, unknown>) : {};
        const [ready] = (status['conditions'] ?? []) as Record<string, string>[];
        if (want.ready !== undefined) expect(ready?.['status']).toBe(want.ready);
        if (want.reason !== undefined) expect(ready?.['reason']).toBe(want.reason);
        if (want.message !== undefined) expect(ready?.['message']).toBe(want.message);
        if (want.patch !== undefined) expect(status['syncedPushSecrets'] ?? {}).toEqual(want.patch);
        if (want.requeue !== undefined) expect(got.end?.requeueAt?.toISOString() ?? null).toBe(want.requeue);
        if (want.retry !== undefined) expect(got.end?.retry ?? false).toBe(want.retry);
      });
    }
  });
}
