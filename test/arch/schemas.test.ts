/** What operations declare of their answers: the description of the API, forms and clients are made from it. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { plugins } from '../../src/bin/plugins.ts';
import type { Operation } from '../../src/plugin/plugin.ts';
import { startServer, type TestServer } from '../../src/server/testing.ts';

/** Answers whose shape is for others to choose, or that are in a format of another protocol. */
const OF_ANY_SHAPE: readonly (readonly [RegExp, string])[] = [
  [/^kv\/subkeys\//, 'the keys of a secret, nested as its writer nested them'],
];

let server: TestServer;
let operations: { name: string; operation: Operation }[];
beforeAll(async () => {
  const types = plugins(undefined, { locate: async () => [] } as never);
  server = await startServer(types);
  for (const { kind, name } of types) {
    const path = kind === 'auth' ? `sys/auth/${name}` : `sys/mounts/${name}`;
    if (name === 'cubbyhole') continue;
    const enabled = await server.ask('POST', path, {
      type: name,
      options: name === 'kv' ? { version: '2' } : {},
    });
    expect({ name, status: enabled.status }).toEqual({ name, status: 204 });
  }
  const mounts = server.server.core.services()?.mounts;
  operations = [...(mounts?.list('secret') ?? []), ...(mounts?.list('auth') ?? [])].flatMap(({ path }) =>
    (mounts?.get(path)?.plugin.routes ?? []).flatMap((route) =>
      Object.entries(route.operations).map(([verb, operation]) => ({
        name: `${path}${route.path} ${verb}`,
        operation,
      })),
    ),
  );
});
afterAll(() => server.close());

test('every operation says what it answers', () => {
  expect(operations.length).toBeGreaterThan(500);
  const open = operations.filter(({ operation }) => holdsAnything(operation.output)).map(({ name }) => name);
  expect(open.filter((name) => !OF_ANY_SHAPE.some(([which]) => which.test(name)))).toEqual([]);
  for (const [which] of OF_ANY_SHAPE) expect(open.some((name) => which.test(name))).toBe(true);
});

test('what may be anything is found wherever a schema holds it', () => {
  for (const schema of [
    z.unknown(),
    z.any(),
    z.object({ a: z.array(z.record(z.string(), z.unknown())) }),
    z.union([z.string(), z.unknown().nullable()]).optional(),
  ])
    expect(holdsAnything(schema)).toBe(true);
  expect(holdsAnything(z.object({ a: z.record(z.string(), z.string().nullable()) }))).toBe(false);
});

function holdsAnything(schema: unknown, seen = new Set<unknown>()): boolean {
  if (typeof schema !== 'object' || schema === null || seen.has(schema)) return false;
  seen.add(schema);
  if (schema instanceof z.ZodUnknown || schema instanceof z.ZodAny) return true;
  if (schema instanceof z.ZodObject)
    return Object.values(schema.shape).some((member) => holdsAnything(member, seen));
  const inner = schema instanceof z.ZodType ? Object.values(schema.def as object) : Object.values(schema);
  return inner.some((part) => holdsAnything(part, seen));
}
