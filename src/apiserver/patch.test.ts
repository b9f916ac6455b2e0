import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyTo } from './apply.ts';
import {
  compare,
  fieldsOf,
  isNothing,
  minus,
  readSet,
  recordUpdate,
  sameSet,
  union,
  writeOwners,
  writeSet,
} from './managedfields.ts';
import { asFields, type Fields, meta, type Obj, parseValue, type Value } from './objects.ts';
import { jsonPatch, mergePatch, strategicPatch } from './patch.ts';
import { shapeOf } from './shape.ts';
import { Refusal } from './status.ts';

const tree = (value: unknown): Value => parseValue(JSON.stringify(value));
const plain = (value: Value): unknown => JSON.parse(JSON.stringify(value));
const builtIn = shapeOf(undefined);
const json = fc.jsonValue({ maxDepth: 3 });
const objects = fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', 'data'), json, { maxKeys: 4 });

describe('patches', () => {
  it('never change what they are applied to', () => {
    fc.assert(
      fc.property(objects, objects, (target, patch) => {
        const live = tree(target);
        const before = JSON.stringify(live);
        mergePatch(live, tree(patch));
        strategicPatch(live, tree(patch), builtIn);
        try {
          jsonPatch(
            live,
            tree([
              { op: 'add', path: '/a', value: patch },
              { op: 'remove', path: '/b' },
              { op: 'move', from: '/c', path: '/d' },
            ]),
          );
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal);
        }
        expect(JSON.stringify(live)).toBe(before);
      }),
    );
  });

  it('merge as RFC 7396 has it', () => {
    const cases = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [target, patch, result] of cases)
      expect(plain(mergePatch(tree(target), tree(patch)))).toEqual(result);
  });

  it('follow JSON pointers to the letter, and refuse what leads nowhere', () => {
    const target = tree({ a: { 'x/y': 1, 'm~n': 2 }, l: [1, 2] });
    expect(
      plain(
        jsonPatch(
          target,
          tree([
            { op: 'replace', path: '/a/x~1y', value: 3 },
            { op: 'remove', path: '/a/m~0n' },
            { op: 'add', path: '/l/1', value: 9 },
            { op: 'add', path: '/l/-', value: 8 },
          ]),
        ),
      ),
    ).toEqual({ a: { 'x/y': 3 }, l: [1, 9, 2, 8] });
    for (const patch of [
      [{ op: 'remove', path: '/no' }],
      [{ op: 'replace', path: '/l/7', value: 1 }],
      [{ op: 'add', path: '/l/01', value: 1 }],
      [{ op: 'test', path: '/l/0', value: 2 }],
      [{ op: 'hop', path: '/a' }],
      [{ op: 'add', path: 'a', value: 1 }],
      [{ op: 'add', path: '/a' }],
      {},
    ]) {
      expect(() => jsonPatch(target, tree(patch)), JSON.stringify(patch)).toThrow(Refusal);
    }
  });

  it('merge containers by name and ports by number, delete and reorder them', () => {
    const pod = tree({
      containers: [
        { name: 'a', image: '1', env: [{ name: 'X', value: '1' }] },
        { name: 'b', image: '1' },
      ],
    });
    const patch = tree({
      containers: [
        { name: 'a', image: '2', env: [{ name: 'Y', value: '2' }] },
        { name: 'b', $patch: 'delete' },
        { name: 'c' },
      ],
      '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }],
    });
    expect(plain(strategicPatch(pod, patch, builtIn.field('spec')))).toEqual({
      containers: [
        { name: 'c' },
        {
          name: 'a',
          image: '2',
          env: [
            { name: 'X', value: '1' },
            { name: 'Y', value: '2' },
          ],
        },
      ],
    });
    const finalizers = tree({ metadata: { finalizers: ['a', 'b'] } });
    expect(
      plain(
        strategicPatch(
          finalizers,
          tree({ metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } }),
          builtIn,
        ),
      ),
    ).toEqual({ metadata: { finalizers: ['b'] } });
  });
});

describe('ownership of fields', () => {
  it('is a set algebra that survives FieldsV1', () => {
    fc.assert(
      fc.property(objects, objects, (a, b) => {
        const [x, y] = [fieldsOf(tree(a), builtIn), fieldsOf(tree(b), builtIn)];
        expect(sameSet({ ...readSet(writeSet(x)), member: x.member }, x)).toBe(true);
        expect(isNothing(minus(x, x))).toBe(true);
        expect(sameSet(union(x, y), union(y, x))).toBe(true);
        expect(isNothing(minus(minus(union(x, y), y), x))).toBe(true);
        const same = compare(tree(a), tree(a), builtIn);
        expect(isNothing(same.changed) && isNothing(same.removed)).toBe(true);
      }),
    );
  });

  const writer = (manager: string) => ({ manager, subresource: '', apiVersion: 'v1', now: 0 });
  const map = (data: Record<string, string>): Obj =>
    tree({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data }) as Fields;
  const owned = (object: Obj, manager: string): unknown => {
    const entries = meta(object)['managedFields'];
    const entry = Array.isArray(entries)
      ? entries.find((one) => asFields(one)['manager'] === manager)
      : undefined;
    return entry === undefined ? undefined : plain(asFields(entry)['fieldsV1'] as Value);
  };
  const apply = (
    live: Obj | undefined,
    data: Record<string, string>,
    manager: string,
    force = false,
  ): Obj => {
    const { object, owners } = applyTo(live, map(data), builtIn, writer(manager), force);
    writeOwners(object, owners);
    return object;
  };

  it('moves to whoever updates a field, and leaves with the field', () => {
    const first = map({ a: '1', b: '1' });
    writeOwners(first, recordUpdate(undefined, first, builtIn, writer('one')));
    const second = tree({ ...(plain(first) as object), data: { a: '2', c: '3' } }) as Fields;
    writeOwners(second, recordUpdate(first, second, builtIn, writer('two')));
    expect(owned(second, 'one')).toBeUndefined();
    expect(owned(second, 'two')).toEqual({ 'f:data': { 'f:a': {}, 'f:c': {} } });
  });

  it('is shared by those who say the same, and a conflict for those who do not', () => {
    const one = apply(undefined, { a: '1', b: '1' }, 'one');
    const both = apply(one, { a: '1' }, 'two');
    expect([owned(both, 'one'), owned(both, 'two')]).toEqual([
      { 'f:data': { 'f:a': {}, 'f:b': {} } },
      { 'f:data': { 'f:a': {} } },
    ]);
    expect(() => apply(both, { a: '9' }, 'two')).toThrow(
      'Apply failed with 1 conflict: conflict with "one": .data.a',
    );
    const forced = apply(both, { a: '9' }, 'two', true);
    expect([owned(forced, 'one'), plain(forced['data'] as Value)]).toEqual([
      { 'f:data': { 'f:b': {} } },
      { a: '9', b: '1' },
    ]);
    expect(plain(apply(both, { b: '1' }, 'one')['data'] as Value)).toEqual({ a: '1', b: '1' });
    expect(plain(apply(one, { b: '1' }, 'one')['data'] as Value)).toEqual({ b: '1' });
  });

  it('makes a second apply of anything change nothing', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.string()),
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.string()),
        (mine, theirs) => {
          const there = apply(undefined, theirs, 'them');
          const once = apply(there, mine, 'me', true);
          expect(plain(apply(once, mine, 'me'))).toEqual(plain(once));
          for (const [key, value] of Object.entries(mine)) expect(asFields(once['data'])[key]).toBe(value);
        },
      ),
    );
  });
});
