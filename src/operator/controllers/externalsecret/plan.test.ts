import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { base64, utf8 } from '../../../base/bytes.ts';
import { type Code, Failure } from '../../../base/errors.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import { externalSecretSpec } from '../../api/externalsecret.ts';
import { type GeneratorSight, generatorId } from '../../generators/sight.ts';
import { createdBy, dataHash, resourceVersion } from '../../hash.ts';
import type { Action, Answer } from '../../plan.ts';
import { plainEnv } from '../../testing/render.ts';
import { generatorsOf, type Observed, type StoreSight } from './observed.ts';
import { plan } from './plan.ts';
import { makingsOf, needsOf } from './rules/data.ts';

/** One sentence, what is observed, and what must come of it. See fixtures/README.md. */
interface Case {
  name: string;
  now?: string;
  meta?: Record<string, unknown>;
  spec: Record<string, unknown>;
  status?: Record<string, unknown> & { synced?: boolean };
  /** Remote key -> fields, or "missing", or { failed: message }. Absent: nothing was read yet. */
  store?: Record<string, unknown>;
  sight?: 'foreign' | { refused: string };
  /** What generators made, by the index of their entry, or { failed: message }. Absent: nothing was made yet. */
  made?: Record<string, Record<string, string>>;
  generator?: 'foreign';
  target?: { data?: Record<string, string>; managed?: boolean } & Record<string, unknown>;
  siblings?: KubeObject[];
  sources?: Record<string, KubeObject>;
  demanded?: boolean;
  deletions?: number;
  expect: {
    reads?: string[];
    does?: string[];
    reason?: string;
    ready?: string;
    message?: string;
    event?: string;
    data?: Record<string, string>;
    secret?: Record<string, unknown>;
    status?: Record<string, unknown>;
    requeue?: string | null;
    retry?: boolean;
  };
}

const UID = 'es-uid';
const folder = join(import.meta.dirname, 'fixtures');
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

function objectOf(given: Case): KubeObject {
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: {
      name: 'app',
      namespace: 'team',
      uid: UID,
      generation: 1,
      resourceVersion: '7',
      finalizers: ['externalsecrets.external-secrets.io/externalsecret-cleanup'],
      ...given.meta,
    },
    spec: given.spec,
  };
}

function targetOf(given: Case): KubeObject | undefined {
  if (given.target === undefined) return undefined;
  const { data = {}, managed = true, metadata, ...rest } = given.target;
  const bytes = new Map(Object.entries(data).map(([key, text]) => [key, utf8(text)]));
  const { labels, annotations, ...meta } = (metadata ?? {}) as Record<string, Record<string, string>>;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    ...rest,
    metadata: {
      name: 'app',
      namespace: 'team',
      uid: 'secret-uid',
      resourceVersion: '3',
      labels: { ...(managed ? { 'reconcile.external-secrets.io/managed': 'true' } : {}), ...labels },
      annotations: {
        ...(managed ? { 'reconcile.external-secrets.io/data-hash': dataHash(bytes) } : {}),
        ...annotations,
      },
      ...meta,
    },
    data: Object.fromEntries([...bytes].map(([key, value]) => [key, base64(value)])),
  };
}

function answerOf(given: unknown): Answer {
  if (given === 'missing') return { missing: true };
  const fields = given as Record<string, string>;
  if ('failed' in fields)
    return {
      failed: new Failure('api.unavailable' as Code, { request: 'GET x', errors: fields['failed'] ?? '' }),
    };
  return {
    read: {
      value: {
        fields: new Map(Object.entries(fields).map(([key, text]) => [key, utf8(text)])),
        json: JSON.stringify(fields),
      },
    },
  };
}

function observedOf(given: Case): Observed {
  const object = objectOf(given);
  const parsed = externalSecretSpec.safeParse(given.spec);
  const spec = parsed.success ? parsed.data : { malformed: parsed.error.issues[0]?.message ?? '' };
  const { synced, ...status } = given.status ?? {};
  const sight: StoreSight =
    given.sight === undefined
      ? { usable: true }
      : given.sight === 'foreign'
        ? { foreign: true }
        : {
            refused: new Failure('operator.store_not_ready', {
              kind: 'SecretStore',
              name: 'vault',
              reason: given.sight.refused,
            }),
          };
  const answers = new Map<string, Answer>();
  if (parsed.success && given.store !== undefined) {
    for (const need of needsOf(parsed.data)) {
      if ('get' in need.ask) answers.set(need.id, answerOf(given.store[need.ask.get.key]));
      if ('find' in need.ask) {
        answers.set(need.id, {
          found: Object.entries(given.store).map(([key, fields]) => {
            const answer = answerOf(fields);
            if (!('read' in answer)) throw new Error('a find gives what is there');
            return [key, answer.read.value] as const;
          }),
        });
      }
    }
  }
  for (const { id, index } of parsed.success ? makingsOf(parsed.data) : []) {
    const made = given.made?.[index];
    if (made === undefined) continue;
    const answer = answerOf(made);
    answers.set(
      id,
      'read' in answer && 'fields' in answer.read.value ? { generated: answer.read.value.fields } : answer,
    );
  }
  return {
    object,
    status: { ...status, ...(synced === true ? { syncedResourceVersion: resourceVersion(object) } : {}) },
    spec,
    target: targetOf(given),
    siblings: given.siblings ?? [],
    stores: new Map([
      ['SecretStore/vault', sight],
      ['ClusterSecretStore/vault', sight],
    ]),
    sources: new Map(Object.entries(given.sources ?? {})),
    generators: new Map(
      (parsed.success ? generatorsOf(parsed.data) : []).map((ref): [string, GeneratorSight] => [
        generatorId(ref),
        given.generator === 'foreign' ? { foreign: true, ...ref } : { usable: object },
      ]),
    ),
    answers,
    demanded: given.demanded ?? false,
    deletions: { recent: given.deletions ?? 0, limit: 10 },
  };
}

const line = (action: Action): string => {
  switch (action.do) {
    case 'event':
      return `event ${action.note.type} ${action.note.reason}: ${action.note.message}`;
    case 'patch':
      return `finalizers ${JSON.stringify((action.patch as { metadata: { finalizers: string[] } }).metadata.finalizers.map((f) => f.split('/')[1]))}`;
    case 'status':
      return 'status';
    default:
      return `${action.do} ${action.name.resource.kind} ${action.name.name}`;
  }
};

for (const file of files) {
  const cases = parse(readFileSync(join(folder, file), 'utf8')) as Case[];
  describe(file.replace('.yaml', ''), () => {
    test('has cases', () => expect(cases.length).toBeGreaterThan(0));
    for (const given of cases) {
      test(given.name, () => {
        const observed = observedOf(given);
        const now = new Date(given.now ?? '2026-06-01T12:00:00Z');
        const got = plan(observed, now, plainEnv);
        const want = given.expect;
        expect(Object.keys(want).length, 'a case expects something').toBeGreaterThan(0);
        if ('read' in got) {
          expect(got.read.map((need) => need.id)).toEqual(want.reads ?? 'no reads');
          return;
        }
        expect(want.reads, 'the plan reads nothing').toBeUndefined();
        if (want.does !== undefined) expect(got.actions.map(line)).toEqual(want.does);
        const status = got.actions.find((action) => action.do === 'status');
        const shown =
          status?.do === 'status' ? (status.status as { conditions: Record<string, string>[] }) : undefined;
        const ready = shown?.conditions.find((condition) => condition['type'] === 'Ready');
        if (want.ready !== undefined) expect(ready?.['status']).toBe(want.ready);
        if (want.reason !== undefined) expect(ready?.['reason']).toBe(want.reason);
        if (want.message !== undefined) expect(ready?.['message']).toBe(want.message);
        if (want.status !== undefined) expect(shown).toMatchObject(want.status);
        if (want.event !== undefined) expect(got.actions.map(line)).toContain(want.event);
        const write = got.actions.find((action) => action.do === 'create' || action.do === 'update');
        const secret = write !== undefined && 'object' in write ? write.object : undefined;
        if (want.data !== undefined) {
          const data = (secret?.['data'] ?? {}) as Record<string, string>;
          expect(
            Object.fromEntries(
              Object.entries(data).map(([k, v]) => [k, Buffer.from(v, 'base64').toString()]),
            ),
          ).toEqual(want.data);
        }
        if (want.secret !== undefined) expect(secret).toMatchObject(want.secret);
        if (want.requeue !== undefined) expect(got.requeueAt?.toISOString() ?? null).toBe(want.requeue);
        if (want.retry !== undefined) expect(got.retry ?? false).toBe(want.retry);
      });
    }
  });
}

test('the label that ties a Secret to its ExternalSecret is the one that upstream writes', () => {
  expect(createdBy('default', 'foo')).toBe('5634524f81ffd28d5559acdfea844235c0d3fc2499aca5a96810d10e');
});
