import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { createFakeProvider } from '../../providers/fake/fake.ts';
import { vaultProvider } from '../../providers/vault/vault.ts';
import { answerReview, type Jurisdiction } from './review.ts';

const ours: Jurisdiction = { providers: [vaultProvider, createFakeProvider()], controllerClass: 'default' };

const GOOD = {
  refreshInterval: '1h',
  secretStoreRef: { name: 'store', kind: 'SecretStore' },
  data: [{ secretKey: 'k', remoteRef: { key: 'k' } }],
};
const EMPTY = { secretStoreRef: { name: 'store', kind: 'SecretStore' } };
const FAKE = { provider: { fake: { data: [] } } };
const PUSH = {
  refreshInterval: '1h',
  secretStoreRefs: [{ name: 'store', kind: 'SecretStore' }],
  selector: { secret: { name: 'made' } },
  data: [{ match: { secretKey: 'k', remoteRef: { remoteKey: 'k' } } }],
};

const objectOf = (kind: string, spec: unknown, metadata: object = {}): object => ({
  apiVersion: 'external-secrets.io/v1',
  kind,
  metadata: { name: 'it', namespace: 'shop', ...metadata },
  spec,
});
const reviewOf = (kind: string, spec: unknown, more: Record<string, unknown> = {}): object => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: 'u-1',
    kind: { group: 'external-secrets.io', version: 'v1', kind },
    namespace: 'shop',
    operation: 'CREATE',
    object: objectOf(kind, spec),
    ...more,
  },
});
const answer = (review: unknown, jurisdiction = ours) =>
  answerReview(JSON.stringify(review), jurisdiction).response;

test.each([
  ['ExternalSecret', GOOD],
  ['PushSecret', PUSH],
  ['SecretStore', { provider: { vault: { server: 'https://vault.example.com', path: 'secret' } } }],
])('a %s without a fault is let in, by the uid of its request', (kind, spec) => {
  expect(answer(reviewOf(kind, spec))).toEqual({ uid: 'u-1', allowed: true, status: { code: 200 } });
});

test('an ExternalSecret is refused with all that its condition would tell', () => {
  const spec = {
    ...EMPTY,
    refreshInterval: 'soon',
    target: { creationPolicy: 'None', deletionPolicy: 'Merge' },
  };
  expect(answer(reviewOf('ExternalSecret', spec))).toEqual({
    uid: 'u-1',
    allowed: false,
    status: {
      code: 403,
      reason: 'Forbidden',
      message:
        'spec.refreshInterval "soon" is not a duration such as 1h30m; deletionPolicy=Merge must not be used with creationPolicy=None. There is no Secret to merge with; either data or dataFrom should be specified [operator.spec_invalid]',
    },
  });
});

test('a spec that its schema does not take is refused by the path that is wrong', () => {
  const { allowed, status } = answer(reviewOf('ExternalSecret', { ...GOOD, data: [{ secretKey: 7 }] }));
  expect(allowed).toBe(false);
  expect(status.message).toContain('spec.data[0].secretKey');
});

test('a PushSecret is refused in the words of its condition', () => {
  const spec = { ...PUSH, dataTo: [{ storeRef: { name: 'other' } }] };
  expect(answer(reviewOf('PushSecret', spec)).status.message).toBe(
    'dataTo[0]: storeRef "other" not found in secretStoreRefs [operator.spec_invalid]',
  );
});

test.each([
  ['no provider', { provider: {} }, 'operator.provider_count'],
  ['a provider that is not there', { provider: { chef: {} } }, 'operator.unknown_provider'],
  ['settings that its provider does not take', { provider: { vault: {} } }, 'operator.provider_invalid'],
  [
    'a regex that does not compile',
    { ...FAKE, conditions: [{ namespaceRegexes: ['ok', '(a'] }] },
    'failed to compile 1th namespace regex in 0th condition',
  ],
  ['an interval that is none', { ...FAKE, refreshInterval: 'often' }, 'spec.refreshInterval "often"'],
])('a store with %s is refused, of a namespace and of the cluster alike', (_, spec, text) => {
  for (const [kind, namespace] of [
    ['SecretStore', 'shop'],
    ['ClusterSecretStore', ''],
  ] as const) {
    const { allowed, status } = answer(reviewOf(kind, spec, { namespace }));
    expect(allowed).toBe(false);
    expect(status.message).toContain(text);
  }
});

test('a refusal repeats no value of the settings of a store', () => {
  const spec = { provider: { vault: { server: { 'hunter2-key': 'hunter2' }, path: 'secret' } } };
  const said = answer(reviewOf('SecretStore', spec));
  expect(said.allowed).toBe(false);
  expect(JSON.stringify(said)).not.toContain('hunter2');
});

test('a provider that nobody maintains is let in with a warning in upstream words', () => {
  expect(answer(reviewOf('SecretStore', FAKE))).toMatchObject({
    allowed: true,
    warnings: ["store it isn't currently maintained. Please plan and prepare accordingly."],
  });
});

test('an object that was sent as v1beta1 is judged all the same, with a warning', () => {
  const requestKind = { group: 'external-secrets.io', version: 'v1beta1', kind: 'ExternalSecret' };
  const warnings = [
    'external-secrets.io/v1beta1 ExternalSecret is deprecated; use external-secrets.io/v1 ExternalSecret',
  ];
  expect(answer(reviewOf('ExternalSecret', GOOD, { requestKind }))).toMatchObject({
    allowed: true,
    warnings,
  });
  expect(answer(reviewOf('ExternalSecret', EMPTY, { requestKind }))).toMatchObject({
    allowed: false,
    warnings,
  });
});

test('what another operator looks after is not refused', () => {
  const foreign = { controller: 'other', provider: { chef: {} } };
  expect(answer(reviewOf('SecretStore', foreign)).allowed).toBe(true);
  expect(answer(reviewOf('SecretStore', foreign), { ...ours, controllerClass: 'other' }).allowed).toBe(false);
  expect(answer(reviewOf('ExternalSecret', EMPTY), { ...ours, namespace: 'bakery' }).allowed).toBe(true);
  expect(answer(reviewOf('ExternalSecret', EMPTY), { ...ours, namespace: 'shop' }).allowed).toBe(false);
});

test('an object that was let in wrong can be deleted, labelled and mended, and not made wrong in another way', () => {
  const update = (before: unknown, after: unknown, metadata: object = {}) =>
    answer(
      reviewOf('ExternalSecret', after, {
        operation: 'UPDATE',
        object: objectOf('ExternalSecret', after, metadata),
        oldObject: objectOf('ExternalSecret', before),
      }),
    ).allowed;
  expect(answer(reviewOf('ExternalSecret', EMPTY, { operation: 'DELETE', object: null })).allowed).toBe(true);
  expect(update(EMPTY, EMPTY, { labels: { team: 'a' }, finalizers: [] })).toBe(true);
  expect(update(EMPTY, GOOD)).toBe(true);
  expect(update(GOOD, EMPTY)).toBe(false);
  expect(update(GOOD, EMPTY, { deletionTimestamp: '2026-01-01T00:00:00Z' })).toBe(true);
});

test('the answer has the version of the question', () => {
  const beta = { ...reviewOf('ExternalSecret', GOOD), apiVersion: 'admission.k8s.io/v1beta1' };
  expect(answerReview(JSON.stringify(beta), ours).apiVersion).toBe('admission.k8s.io/v1beta1');
});

test.each([
  ['no JSON', '{"apiVersion": "admission'],
  ['another object', JSON.stringify(objectOf('ExternalSecret', GOOD))],
  [
    'a review without a request',
    JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' }),
  ],
  ['a review of a kind that is not judged', JSON.stringify(reviewOf('Secret', {}))],
  [
    'a kind of another group under a name of ours',
    JSON.stringify(
      reviewOf('ExternalSecret', GOOD, {
        kind: { group: 'evil.dev', version: 'v1', kind: 'ExternalSecret' },
      }),
    ),
  ],
  ['the review of a creation of nothing', JSON.stringify(reviewOf('ExternalSecret', GOOD, { object: null }))],
])('%s is a bad request', (_, text) => {
  expect(() => answerReview(text, ours)).toThrowError(
    expect.objectContaining({ name: 'Failure', code: 'request.invalid' }),
  );
});

test('whatever a spec is, it is let in or refused with a reason, and nothing breaks', () => {
  const kinds = fc.constantFrom('ExternalSecret', 'PushSecret', 'SecretStore', 'ClusterSecretStore');
  fc.assert(
    fc.property(kinds, fc.jsonValue(), fc.jsonValue(), (kind, spec, inner) => {
      for (const one of [spec, { ...GOOD, data: inner }, { ...PUSH, dataTo: inner }, { provider: inner }]) {
        const { allowed, status } = answer(reviewOf(kind, one));
        expect(allowed ? status.message : status.message?.length).not.toBe(allowed ? '' : 0);
        expect(allowed).toBe(status.code === 200);
      }
    }),
  );
});

test('a text of strangers is answered or is a bad request', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      try {
        answerReview(text, ours);
      } catch (error) {
        expect(isFailure(error, 'request.invalid')).toBe(true);
      }
    }),
  );
});
