import { expect, test } from 'vitest';
import { z } from 'zod';
import { compileRoutes } from './match.ts';
import { operation, type Route, type Verb } from './plugin.ts';

const noop = operation({
  summary: '',
  input: z.object({}),
  output: z.object({}),
  effect: 'none',
  run: async () => ({}),
});
const route = (path: string, verbs: Verb[] = ['read'], lowercase: string[] = []): Route => ({
  path,
  lowercase,
  operations: Object.fromEntries(verbs.map((verb) => [verb, noop])),
});
const match = compileRoutes([
  route('config'),
  route('role', ['list']),
  route('role/:name'),
  route('role/:name/secret-id', ['write']),
  route('role/special'),
  route('data/*path'),
  route('data/:one/fixed'),
  route('users/:who', ['read'], ['who']),
]);
const ask = (path: string, folder = false) => {
  const found = match(path === '' ? [] : path.split('/'), folder);
  return found && { path: found.route.path, params: { ...found.params }, segments: found.segments.join('/') };
};

test.each([
  ['config', false, 'config', {}],
  ['role', true, 'role', {}],
  ['role/a', false, 'role/:name', { name: 'a' }],
  ['role/special', false, 'role/special', {}],
  ['role/special/secret-id', false, 'role/:name/secret-id', { name: 'special' }],
  ['data', false, 'data/*path', { path: '' }],
  ['data/a', false, 'data/*path', { path: 'a' }],
  ['data/a/b', true, 'data/*path', { path: 'a/b/' }],
  ['data/a/fixed', false, 'data/:one/fixed', { one: 'a' }],
  ['data/a/fixed/more', false, 'data/*path', { path: 'a/fixed/more' }],
  ['data/a/fixed', true, 'data/*path', { path: 'a/fixed/' }],
  ['role/__proto__', false, 'role/:name', { name: '__proto__' }],
] as const)('%s (folder: %s) is answered by %s', (path, folder, want, params) => {
  expect(ask(path, folder)).toMatchObject({ path: want, params });
});

test.each([
  ['', false],
  ['nothing', false],
  ['role/a/b', false],
  ['role/a', true],
  ['config', true],
  ['configuration', false],
  ['role/a/secret-id/b', false],
])('%s (folder: %s) is answered by no route', (path, folder) => {
  expect(ask(path, folder)).toBeUndefined();
});

test('a parameter whose case does not matter is folded in the value and in what policy is asked about', () => {
  expect(ask('users/BoB')).toEqual({ path: 'users/:who', params: { who: 'bob' }, segments: 'users/bob' });
  expect(ask('role/BoB')?.segments).toBe('role/BoB');
});

test('two routes of the same shape, and a rest that is not last, are refused when the plugin is made', () => {
  expect(() => compileRoutes([route('a/:x'), route('a/:y')])).toThrow('same shape');
  expect(() => compileRoutes([route('a/*x'), route('a/*y')])).toThrow('same shape');
  expect(() => compileRoutes([route('a/*x/b')])).toThrow('must be last');
});
