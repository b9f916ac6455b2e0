/** Random sequences of operations, against the engine and against a model that is too simple to be wrong. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import type { Entry } from '../../storage/storage.ts';
import { kv } from './index.ts';
import { besideOf, laidIn, outOfRun, runKeyOf } from './places.ts';
import { numbersOf } from './secret.ts';

interface ModelVersion {
  value: number | 'gone';
  deleted: boolean;
}

/** A secret is a list of all versions ever written; which of them are kept is counted anew each time. */
class Model {
  versions: ModelVersion[] = [];
  limit = 0;
  floor = 0;

  put(value: number, cas: number | undefined): string {
    if (cas !== undefined && cas !== this.versions.length) return 'refused';
    this.versions.push({ value, deleted: false });
    this.floor = Math.max(this.floor, this.versions.length - (this.limit || 10));
    return `version ${this.versions.length}`;
  }

  kept(number: number): ModelVersion | undefined {
    return number > this.floor ? this.versions[number - 1] : undefined;
  }

  read(number: number): string {
    const version = this.kept(number === 0 ? this.versions.length : number);
    if (version === undefined) return 'nothing';
    return version.deleted || version.value === 'gone' ? 'deleted' : `value ${version.value}`;
  }

  each(numbers: readonly number[], change: (version: ModelVersion) => void): void {
    for (const number of numbers) {
      const version = this.kept(number);
      if (version !== undefined) change(version);
    }
  }
}

type Step =
  | { do: 'put' | 'patch'; path: string; value: number; cas: number | undefined }
  | { do: 'delete' | 'undelete' | 'destroy'; path: string; versions: number[] }
  | { do: 'deleteLatest' | 'forget'; path: string }
  | { do: 'limit'; path: string; limit: number }
  | { do: 'restart' };

/** Of some, a few are more than stay beside their secret. */
const dataOf = (value: number) => ({ value, pad: 'x'.repeat((value % 3) * 1200) });

const path = fc.constantFrom('a', 'A', 'a/b', 'a/b/c');
const version = fc.integer({ min: 0, max: 14 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      path,
      value: fc.nat(),
      cas: fc.option(version, { nil: undefined, freq: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('patch' as const),
      path,
      value: fc.nat(),
      cas: fc.option(version, { nil: undefined }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('delete' as const, 'undelete' as const, 'destroy' as const),
      path,
      versions: fc.array(version, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('deleteLatest' as const, 'forget' as const), path }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('limit' as const), path, limit: fc.integer({ min: 0, max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);

test('whatever is done in whatever order, the engine answers as the model does', async () => {
  let compared = 0;
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 100 }), async (steps) => {
      const engine = mountForTest(kv, { options: { version: '2' } });
      const models = new Map<string, Model>();
      for (const one of steps) {
        await apply(engine, models, one);
        compared++;
      }
      runs += await compare(engine, models);
    }),
    { numRuns: 150 },
  );
  expect(compared).toBeGreaterThan(1000);
  expect(runs).toBeGreaterThan(30);
});

async function apply(engine: TestMount, models: Map<string, Model>, one: Step): Promise<void> {
  if (one.do === 'restart') return engine.restart();
  const model = models.get(one.path);
  const made = (): Model => {
    const fresh = model ?? new Model();
    models.set(one.path, fresh);
    return fresh;
  };
  const at = one.path;
  switch (one.do) {
    case 'put': {
      const options = one.cas === undefined ? {} : { cas: one.cas };
      const answer = await attempt(engine.call('write', `data/${at}`, { data: dataOf(one.value), options }));
      const wanted = (model ?? new Model()).put(one.value, one.cas);
      expect(answer).toBe(wanted);
      if (model === undefined && wanted !== 'refused') made().put(one.value, undefined);
      return;
    }
    case 'patch': {
      const options = one.cas === undefined ? {} : { cas: one.cas };
      const answer = await attempt(engine.call('patch', `data/${at}`, { data: dataOf(one.value), options }));
      if (model === undefined) return expect(answer).toBe('404');
      if (one.cas !== undefined && one.cas !== model.versions.length) return expect(answer).toBe('refused');
      if (!model.read(0).startsWith('value')) return expect(answer).toBe('404');
      return expect(answer).toBe(model.put(one.value, one.cas));
    }
    case 'delete':
    case 'undelete':
    case 'destroy': {
      await engine.call('write', `${one.do}/${at}`, { versions: one.versions });
      model?.each(one.versions, (kept) => {
        if (one.do === 'destroy') kept.value = 'gone';
        else if (kept.value !== 'gone') kept.deleted = one.do === 'delete';
      });
      return;
    }
    case 'deleteLatest':
      await engine.call('delete', `data/${at}`);
      model?.each([model.versions.length], (kept) => {
        kept.deleted = true;
      });
      return;
    case 'forget':
      await engine.call('delete', `metadata/${at}`);
      models.delete(one.path);
      return;
    case 'limit':
      await engine.call('write', `metadata/${at}`, { max_versions: one.limit });
      made().limit = one.limit;
  }
}

async function attempt(call: ReturnType<TestMount['call']>): Promise<string> {
  try {
    const { status, data } = await call;
    return status === 200 ? `version ${data.version}` : String(status);
  } catch (error) {
    if (isFailure(error, 'kv.cas_mismatch')) return 'refused';
    if (isFailure(error, 'kv.nothing_to_patch')) return '404';
    throw error;
  }
}

/** Gives how many runs of older values there are. */
async function compare(engine: TestMount, models: Map<string, Model>): Promise<number> {
  const values = new Set<string>();
  for (const [at, model] of models) {
    for (let number = 0; number <= model.versions.length + 1; number++) {
      const { status, data } = await engine.call('read', `data/${at}`, { version: number });
      const told = status === 200 ? `value ${data.data.value}` : data === null ? 'nothing' : 'deleted';
      expect(told, `${at} version ${number}`).toBe(model.read(number));
    }
    const { data } = await engine.call('read', `metadata/${at}`);
    expect(data.current_version).toBe(model.versions.length);
    expect(Object.keys(data.versions).map(Number)).toEqual(
      model.versions.map((_, index) => index + 1).filter((number) => number > model.floor),
    );
    model.versions.forEach((_, index) => {
      const kept = model.kept(index + 1);
      if (kept !== undefined && kept.value !== 'gone') values.add(`${at}:${index + 1}`);
    });
  }
  // What is destroyed or forgotten must not stay behind; what is trimmed only as long as a version of its run is known.
  const { signal } = new AbortController();
  const runs = new Map<string, Entry>();
  for await (const run of engine.storage.scan('versions/', signal)) runs.set(run.key, run);
  const reached = new Set<string>();
  let left = 0;
  let named = 0;
  for await (const entry of engine.storage.scan('meta/', signal)) {
    const laid = laidIn(entry);
    named += laid.places.runs.length;
    expect(entry.value.length).toBe(laid.places.beside.reduce((sum, length) => sum + length, laid.start));
    expect(laid.places.beside.length).toBeLessThanOrEqual(laid.secret.written.length);
    for (const number of numbersOf(laid.secret)) {
      const key = runKeyOf(laid, number);
      if (key !== undefined) reached.add(key);
      const run = key === undefined ? undefined : runs.get(key);
      if ((run === undefined ? besideOf(laid, number) : outOfRun(laid, number, run)) !== undefined) left++;
    }
  }
  expect(left).toBe(values.size);
  expect([...reached].sort()).toEqual([...runs.keys()].sort());
  expect(named).toBe(runs.size);
  return runs.size;
}
