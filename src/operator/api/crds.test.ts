import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { crds, crdYaml, knownKinds } from './crds.ts';
import { externalSecretSpec } from './externalsecret.ts';
import { structural } from './subset.ts';

const folder = join(import.meta.dirname, '../../../deploy/crds');

test('deploy/crds holds exactly what the schemas say', () => {
  const files = crdYaml();
  if (process.env['UPDATE'] === '1') {
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of files) writeFileSync(join(folder, name), text);
  }
  const found = readdirSync(folder).filter((name) =>
    /\.(external-secrets\.io|holdfast\.dev)\.yaml$/.test(name),
  );
  expect(found.sort()).toEqual([...files.keys()].sort());
  for (const [name, text] of files) expect(readFileSync(join(folder, name), 'utf8')).toBe(text);
});

test('each definition fits the annotation that client-side apply keeps it in', () => {
  for (const object of crds()) {
    expect(JSON.stringify(object).length).toBeGreaterThan(500);
    expect(JSON.stringify(object).length).toBeLessThan(262_144);
  }
});

test('no default enters a stored object: it would be drift to a GitOps tool', () => {
  for (const text of crdYaml().values()) expect(text).not.toMatch(/^\s*default:/m);
});

test('every node is structural: a type, or int-or-string', () => {
  let nodes = 0;
  const visit = (node: Record<string, unknown>, at: string): void => {
    nodes++;
    if (node['x-kubernetes-int-or-string'] !== true) expect(node['type'], at).toBeTypeOf('string');
    expect(node['oneOf'], at).toBeUndefined();
    for (const [key, member] of Object.entries((node['properties'] ?? {}) as Record<string, unknown>))
      visit(member as Record<string, unknown>, `${at}.${key}`);
    if (node['items'] !== undefined) visit(node['items'] as Record<string, unknown>, `${at}[]`);
    if (node['additionalProperties'] !== undefined)
      visit(node['additionalProperties'] as Record<string, unknown>, `${at}{}`);
  };
  for (const text of crdYaml().values()) {
    const object = parse(text) as {
      spec: { versions: { name: string; schema: { openAPIV3Schema: Record<string, unknown> } }[] };
    };
    for (const version of object.spec.versions) visit(version.schema.openAPIV3Schema, version.name);
  }
  expect(nodes).toBeGreaterThan(200);
});

test('kubectl explain tells of each field of what teams write what it is for', () => {
  type Node = Record<string, unknown>;
  // Label selectors are Kubernetes' own, and the block of a provider is described where that provider is.
  const closed = new Set(['matchLabels', 'matchExpressions', 'provider']);
  const untold = (node: Node, at: string): string[] => [
    ...Object.entries((node['properties'] ?? {}) as Record<string, Node>).flatMap(([key, member]) => {
      const path = `${at}.${key}`;
      if (closed.has(key)) return [];
      return [...(member['description'] === undefined ? [path] : []), ...untold(member, path)];
    }),
    ...(node['items'] === undefined ? [] : untold(node['items'] as Node, at)),
  ];
  const kinds = knownKinds().filter(
    ({ resource }) => !['GeneratorState', 'ClusterGenerator', 'SyncReport'].includes(resource.kind),
  );
  expect(kinds.length).toBeGreaterThan(15);
  expect(kinds.flatMap(({ resource, spec }) => untold(structural(spec), resource.kind))).toEqual([]);
});

test('what v1 has is served as v1beta1, too: an upgrade that upstream leaves to its users', () => {
  const versionsOf = (object: object): string[] =>
    (object as { spec: { versions: { name: string }[] } }).spec.versions.map(({ name }) => name);
  const served = Object.fromEntries(crds().map((object) => [object.metadata.name, versionsOf(object)]));
  for (const name of ['externalsecrets', 'secretstores', 'clustersecretstores'])
    expect(served[`${name}.external-secrets.io`]).toEqual(['v1', 'v1beta1']);
});

test('bounds of numbers and lists are told, and those that zod has for itself are not', () => {
  expect(structural(z.number().int())).toEqual({ type: 'integer' });
  expect(structural(z.number().int().min(256).max(8192))).toEqual({
    type: 'integer',
    minimum: 256,
    maximum: 8192,
  });
  expect(structural(z.array(z.string().min(1)).min(1).max(64).optional())).toEqual({
    type: 'array',
    items: { type: 'string', minLength: 1 },
    minItems: 1,
    maxItems: 64,
  });
});

test('a pattern that a name has to fit is the API server’s to check, too', () => {
  expect(structural(z.string().min(1).regex(/^a+$/))).toEqual({
    type: 'string',
    minLength: 1,
    pattern: '^a+$',
  });
  for (const name of ['externalsecrets', 'pushsecrets', 'clusterexternalsecrets'])
    expect(crdYaml().get(`${name}.external-secrets.io.yaml`)).toContain('pattern: ^[a-z0-9]');
});

test('the compiler refuses a shape that it does not know', () => {
  expect(() => structural(z.union([z.string(), z.boolean()]))).toThrow(TypeError);
  expect(() => structural(z.object({ a: z.unknown() }))).toThrow(TypeError);
  expect(() => structural(z.number())).toThrow(TypeError);
  expect(() => structural(z.string().transform(Number))).toThrow(TypeError);
});

test('an ExternalSecret as older releases stored it reads as one that was written today', () => {
  const bare = { data: [{ secretKey: 'a', remoteRef: { key: 'k' } }] };
  const defaulted = {
    data: [
      {
        secretKey: 'a',
        remoteRef: {
          key: 'k',
          conversionStrategy: 'Default',
          decodingStrategy: 'None',
          metadataPolicy: 'None',
        },
      },
    ],
    refreshInterval: '1h0m0s',
  };
  expect(externalSecretSpec.parse(defaulted)).toEqual(externalSecretSpec.parse(bare));
});
