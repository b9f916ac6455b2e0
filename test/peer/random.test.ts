/** Random sequences to our server and to an upstream one: what no fixed list of requests would have thought of. */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Pair, type Step, startPair, unexplained } from './pair.ts';
import { withoutPeer } from './peer.ts';

if (withoutPeer !== undefined) console.warn(`SKIPPED test/peer: ${withoutPeer}`);

const MERGE = { 'content-type': 'application/merge-patch+json' };
const key = fc.constantFrom('a', 'b', 'a/c', 'd/e/f');
const version = fc.integer({ min: 0, max: 6 });
const versions = fc.array(version, { maxLength: 3 });
const data = fc.dictionary(
  fc.constantFrom('x', 'y', 'z'),
  fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.boolean()),
  {
    maxKeys: 3,
  },
);

/** Requests of KV v2 below `mount`. */
const kvStep = (mount: string): fc.Arbitrary<Step> => {
  const at = (verb: string, kind: string) => (name: string) => `${verb} ${mount}/${kind}/${name}`;
  const step = (
    ask: fc.Arbitrary<string>,
    body?: fc.Arbitrary<unknown>,
    headers?: Step['headers'],
  ): fc.Arbitrary<Step> =>
    fc.record({ ask, ...(body === undefined ? {} : { body }) }).map((made) => ({
      ...made,
      ...(headers === undefined ? {} : { headers }),
    }));
  return fc.oneof(
    { weight: 5, arbitrary: step(key.map(at('PUT', 'data')), fc.record({ data })) },
    {
      weight: 3,
      arbitrary: step(key.map(at('PUT', 'data')), fc.record({ data, options: fc.record({ cas: version }) })),
    },
    { weight: 2, arbitrary: step(key.map(at('PATCH', 'data')), fc.record({ data }), MERGE) },
    { weight: 3, arbitrary: step(key.map(at('GET', 'data'))) },
    {
      weight: 3,
      arbitrary: step(fc.tuple(key, version).map(([name, n]) => `GET ${mount}/data/${name}?version=${n}`)),
    },
    { weight: 2, arbitrary: step(key.map(at('DELETE', 'data'))) },
    { weight: 2, arbitrary: step(key.map(at('POST', 'delete')), fc.record({ versions })) },
    { weight: 2, arbitrary: step(key.map(at('POST', 'undelete')), fc.record({ versions })) },
    { weight: 1, arbitrary: step(key.map(at('PUT', 'destroy')), fc.record({ versions })) },
    {
      weight: 1,
      arbitrary: step(
        key.map(at('POST', 'metadata')),
        fc.record(
          { max_versions: fc.integer({ min: 0, max: 4 }), cas_required: fc.boolean() },
          { requiredKeys: [] },
        ),
      ),
    },
    { weight: 2, arbitrary: step(key.map(at('GET', 'metadata'))) },
    { weight: 1, arbitrary: step(key.map(at('DELETE', 'metadata'))) },
    { weight: 1, arbitrary: step(key.map(at('GET', 'subkeys'))) },
    {
      weight: 2,
      arbitrary: step(fc.constantFrom('', 'a/', 'd/', 'd/e/', 'none/').map(at('LIST', 'metadata'))),
    },
  );
};

const segment = fc.constantFrom('a', 'b', 'ab', '+', 'a*', 'secret');
const pattern = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.constantFrom('', '*', '/', '/*'))
  .map(
    ([segments, end]) =>
      segments.map((one, at) => (at < segments.length - 1 ? one.replace('*', '') : one)).join('/') + end,
  )
  // A glob ends a path and nothing else does; two of them are refused by both in their own words.
  .filter((path) => !/\*./.test(path));
const capabilities = fc.uniqueArray(
  fc.constantFrom('create', 'read', 'update', 'delete', 'list', 'patch', 'sudo', 'deny'),
  { minLength: 1, maxLength: 4 },
);
const policy = fc
  .array(fc.record({ path: pattern, capabilities }), { minLength: 1, maxLength: 5 })
  .map((rules) =>
    rules
      .map(({ path, capabilities: can }) => `path "${path}" { capabilities = ${JSON.stringify(can)} }`)
      .join('\n'),
  );
const asked = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'b', 'ab', 'abc', 'secret'), { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '/'),
  )
  .map(([segments, end]) => segments.join('/') + end);

describe.skipIf(withoutPeer !== undefined)('random requests to both get the same answers', () => {
  let pair: Pair;
  let round = 0;

  beforeAll(async () => {
    pair = await startPair();
  });

  afterAll(() => pair?.stop());

  test('of KV v2, in sequences of up to 40', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(kvStep('pkv'), { minLength: 5, maxLength: 40 }), async (steps) => {
        await pair.run([
          { ask: 'DELETE sys/mounts/pkv' },
          { ask: 'POST sys/mounts/pkv', body: { type: 'kv', options: { version: '2' } } },
        ]);
        expect(unexplained(await pair.run(steps))).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  test('of the policy matcher: any policies, any paths', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(policy, { minLength: 1, maxLength: 3 }),
        fc.uniqueArray(asked, { minLength: 1, maxLength: 12 }),
        async (policies, paths) => {
          const names = policies.map((_, at) => `random-${round}-${at}`);
          round++;
          const findings = await pair.run([
            ...policies.map((text, at) => ({
              ask: `PUT sys/policies/acl/${names[at]}`,
              body: { policy: text },
            })),
            {
              ask: 'POST auth/token/create',
              body: { policies: names, no_default_policy: true },
              keep: { holder: 'auth.client_token' },
            },
            { ask: 'POST sys/capabilities', body: { token: '${holder}', paths } },
          ]);
          expect(unexplained(findings)).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });
});
