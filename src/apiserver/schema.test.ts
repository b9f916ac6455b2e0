import { describe, expect, it } from 'vitest';
import { compileRule, evaluateRule } from './cel.ts';
import { follow, parseJsonPath } from './jsonpath.ts';
import { type Fields, parseValue } from './objects.ts';
import { fillDefaults, prune, readSchema, validate } from './schema.ts';

const tree = (value: unknown): Fields => parseValue(JSON.stringify(value)) as Fields;
const schema = (source: unknown, unknown: string[] = []) =>
  readSchema(tree(source), (path, rule) => unknown.push(`${path} ${rule}`));
const causes = (source: unknown, value: unknown, old?: unknown): string[] =>
  validate(tree(value), schema(source), old === undefined ? undefined : tree(old)).map(
    (cause) => `${cause.field}: ${cause.message}`,
  );

describe('a structural schema', () => {
  it('drops what it does not know, and keeps what it is told to preserve', () => {
    const source = {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          properties: {
            a: { type: 'string' },
            list: { type: 'array', items: { type: 'object', properties: { n: { type: 'integer' } } } },
          },
        },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        map: {
          type: 'object',
          additionalProperties: { type: 'object', properties: { k: { type: 'string' } } },
        },
      },
    };
    const object = tree({
      apiVersion: 'v',
      kind: 'K',
      metadata: { name: 'x' },
      spec: { a: '1', b: 2, list: [{ n: 1, m: 2 }] },
      free: { any: { thing: 1 } },
      map: { one: { k: 'v', z: 1 } },
      other: 1,
    });
    expect(prune(object, schema(source)).sort()).toEqual(['map.one.z', 'other', 'spec.b', 'spec.list[0].m']);
    expect(JSON.parse(JSON.stringify(object))).toEqual({
      apiVersion: 'v',
      kind: 'K',
      metadata: { name: 'x' },
      spec: { a: '1', list: [{ n: 1 }] },
      free: { any: { thing: 1 } },
      map: { one: { k: 'v' } },
    });
  });

  it('fills in defaults below what is there, and not below what is not', () => {
    const source = {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          properties: {
            a: { type: 'string', default: 'x' },
            deep: { type: 'object', properties: { b: { type: 'integer', default: 3 } } },
          },
        },
      },
    };
    const object = tree({ spec: { deep: {}, a: null } });
    fillDefaults(object, schema(source));
    expect(JSON.parse(JSON.stringify(object))).toEqual({ spec: { a: 'x', deep: { b: 3 } } });
    const bare = tree({});
    fillDefaults(bare, schema(source));
    expect(JSON.parse(JSON.stringify(bare))).toEqual({});
  });

  it('names the field and the rule that is broken, and never the value', () => {
    const source = {
      type: 'object',
      required: ['spec'],
      properties: {
        spec: {
          type: 'object',
          required: ['name'],
          maxProperties: 9,
          properties: {
            name: { type: 'string', minLength: 20, pattern: '^x', maxLength: 40 },
            mode: { type: 'string', enum: ['a', 'b'] },
            n: { type: 'integer', minimum: 1, maximum: 5 },
            port: { 'x-kubernetes-int-or-string': true },
            items: {
              type: 'array',
              maxItems: 1,
              'x-kubernetes-list-type': 'map',
              'x-kubernetes-list-map-keys': ['k'],
              items: { type: 'object', required: ['k'], properties: { k: { type: 'string' } } },
            },
            one: {
              type: 'object',
              oneOf: [{ required: ['a'] }, { required: ['b'] }],
              properties: { a: { type: 'string' }, b: { type: 'string' } },
            },
          },
        },
      },
    };
    expect(causes(source, {})).toEqual(['spec: Required value']);
    const found = causes(source, {
      spec: {
        name: 'canary',
        mode: 'canary',
        n: 9,
        port: true,
        items: [{ k: 'z' }, { k: 'z' }],
        one: { a: 'canary', b: 'canary' },
      },
    });
    expect(found).toEqual([
      "spec.name: Invalid value: should match '^x'",
      'spec.name: Invalid value: should be at least 20 chars long',
      'spec.mode: Unsupported value: supported values: "a", "b"',
      'spec.n: Invalid value: should be less than or equal to 5',
      'spec.port: Invalid value: "boolean": spec.port in body must be of type integer or string: "boolean"',
      'spec.items: Too many: 2: must have at most 1 items',
      'spec.items: Duplicate value',
      'spec.one: Invalid value: spec.one in body must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ]);
    expect(found.join()).not.toContain('canary');
    expect(
      causes(source, {
        spec: { name: `x${'y'.repeat(20)}`, port: '80', n: 1, items: [{ k: 'a' }], one: { b: '' } },
      }),
    ).toEqual([]);
  });

  it('says which rules it does not evaluate, instead of pretending', () => {
    const unknown: string[] = [];
    schema(
      {
        type: 'object',
        properties: {
          spec: {
            type: 'object',
            'x-kubernetes-validations': [{ rule: 'has(self.a)' }, { rule: 'isURL(self.b)' }],
          },
        },
      },
      unknown,
    );
    expect(unknown).toEqual(['.spec isURL(self.b)']);
  });
});

describe('a validation rule', () => {
  const holds = (rule: string, self: unknown, old?: unknown): boolean | undefined => {
    const compiled = compileRule(rule, 'no');
    if (compiled === undefined) return undefined;
    return (
      evaluateRule(
        compiled,
        tree({ v: self })['v'] ?? null,
        old === undefined ? undefined : (tree({ v: old })['v'] ?? null),
      ) === undefined
    );
  };

  it.each([
    [
      'exactly one of three',
      '[has(self.a), has(self.b), has(self.c)].filter(x, x == true).size() == 1',
      { a: 1 },
      { a: 1, b: 1 },
    ],
    ['not both', '!(has(self.a) && has(self.b))', { a: 1 }, { a: 1, b: 1 }],
    ['an implication', "self.kind != 'X' || has(self.x)", { kind: 'Y' }, { kind: 'X' }],
    ['a ternary', "has(self.a) ? self.a > 3 : self.b == 'q'", { b: 'q' }, { a: 2 }],
    [
      'all items',
      'self.items.all(i, i.n >= 1 && i.n in [1, 2])',
      { items: [{ n: 1 }, { n: 2 }] },
      { items: [{ n: 3 }] },
    ],
    ['a pattern', "self.s.matches('^a+$') && size(self.s) <= 3", { s: 'aaa' }, { s: 'ab' }],
    ['a count of keys', 'size(self) == 1 + 1', { a: 1, b: 2 }, { a: 1 }],
    ['what is missing fails', 'self.a == 1', { a: 1 }, { b: 1 }],
    ['a fault that the other side decides', 'has(self.b) || self.a == 1', { b: 1 }, {}],
  ])('reads %s', (_, rule, good, bad) => {
    expect(holds(rule, good)).toBe(true);
    expect(holds(rule, bad)).toBe(false);
  });

  it('compares with the old object only where there is one', () => {
    expect(holds('self.a == oldSelf.a', { a: 1 })).toBe(true);
    expect(holds('self.a == oldSelf.a', { a: 1 }, { a: 2 })).toBe(false);
  });

  it('does not compile what it does not know, nor what never ends', () => {
    for (const rule of [
      'self.a.unknown()',
      'foo(self)',
      'self.',
      '(((',
      '1 +',
      "self.a == 'x",
      '`',
      '('.repeat(500),
    ])
      expect(holds(rule, {}), rule).toBeUndefined();
    const items = Array.from({ length: 400 }, () => 1);
    expect(holds('self.all(a, self.all(b, self.all(c, a == b)))', items)).toBe(false);
  });
});

describe('a printer column', () => {
  it.each([
    ['.spec.size', [3]],
    ['{.spec.size}', [3]],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    ['.status.conditions[*].type', ['Synced', 'Ready']],
    ['.status.conditions[0].type', ['Synced']],
    [".metadata.labels['a.b/c']", ['d']],
    ['.metadata.labels.a\\.b/c', undefined],
    ['.spec.nothing', []],
    ['.spec[', undefined],
  ])('reads %s', (path, expected) => {
    const object = tree({
      spec: { size: 3 },
      metadata: { labels: { 'a.b/c': 'd' } },
      status: {
        conditions: [
          { type: 'Synced', status: 'False' },
          { type: 'Ready', status: 'True' },
        ],
      },
    });
    const parsed = parseJsonPath(path);
    expect(parsed === undefined ? undefined : follow(object, parsed)).toEqual(expected);
  });
});
