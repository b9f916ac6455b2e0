/** Against a small Google of ours that checks each signature, token and checksum, through the way out that the operator judges. */

import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { endpointOf, endpointsFrom, routed } from '../../gcp/endpoints.ts';
import { googleMachine } from '../../gcp/machine.ts';
import { describeProvider, type Harness, type Planted } from '../../provider/conformance.ts';
import { NO_WAY_OUT, type WayOut, webJudge } from '../../provider/egress.ts';
import type { Provider, ProviderEnv } from '../../provider/provider.ts';
import { entry, findings, meta, object, said, testEnv, textAt } from '../../provider/testing.ts';
import { createDial } from '../../server/http/dial.ts';
import { createGcpProvider, type GcpOptions } from './gcp.ts';
import { gcpSpec } from './spec.ts';
import { type FakeGoogle, plant, startFakeGoogle, subjectToken } from './testing.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const started = async (): Promise<FakeGoogle> => {
  const fake = await startFakeGoogle();
  closing.push(() => fake.close());
  return fake;
};

/** What the operator's own list allows is the fake, and nothing else of this machine. */
const wayOutTo = (fake: FakeGoogle): WayOut => ({
  ...NO_WAY_OUT,
  dial: createDial({
    target: (host, port) => ({ host, port }),
    allow: webJudge({ allowed: ({ port }) => port === fake.port, isCluster: () => false }),
  }),
});

const KEY = { secretRef: { secretAccessKeySecretRef: { name: 'gcp', key: 'key.json' } } };

async function connect(
  fake: FakeGoogle,
  spec: object = {},
  env: Partial<ProviderEnv> = {},
  options: GcpOptions = {},
): Promise<Provider> {
  const read = gcpSpec.parse({ projectID: 'p', auth: KEY, ...spec });
  const secretKey: ProviderEnv['secretKey'] = async ({ name }) => {
    if (name === 'gcp') return utf8(fake.key());
    throw failure('operator.ref_missing', { kind: 'Secret', name, namespace: 'team' });
  };
  return createGcpProvider({ endpoints: fake.endpoint, ...options }).connect(
    read,
    testEnv({ wayOut: wayOutTo(fake), secretKey, retry: { maxRetries: 0 }, ...env }),
  );
}

const plantAll = (fake: FakeGoogle, parent: string, planted: readonly Planted[]): void => {
  for (const { key, fields, tags } of planted)
    plant(fake, `${parent}/secrets/${key}`, [JSON.stringify(fields)], { labels: { ...tags } });
};

const harness = (fake: FakeGoogle, provider: Provider): Harness => ({
  provider,
  stop: async () => {
    await provider.close();
    await fake.close();
  },
});

const ONE_TEXT = 'a secret of Google is one value; bytes within a JSON object have no form';

describeProvider('Google Secret Manager', {
  async start(planted) {
    const fake = await startFakeGoogle();
    plantAll(fake, 'projects/p', planted);
    return harness(fake, await connect(fake));
  },
  without: { binary: ONE_TEXT, properties: ONE_TEXT },
});

describeProvider('Google Secret Manager in one region', {
  async start(planted) {
    const fake = await startFakeGoogle();
    plantAll(fake, 'projects/p/locations/europe-west3', planted);
    return harness(fake, await connect(fake, { location: 'europe-west3' }));
  },
  without: { binary: ONE_TEXT, properties: ONE_TEXT },
});

describe('reading from Google', () => {
  test('no version is the latest, a number or an alias is that one, and the number that was read is told', async () => {
    const fake = await started();
    plant(fake, 'projects/p/secrets/db', ['old', 'new']);
    const provider = await connect(fake);
    expect(await provider.get({ key: 'db' })).toEqual({ value: { bytes: Buffer.from('new') }, version: '2' });
    expect(await textAt(provider, 'db', '', 'latest')).toBe('new');
    expect(await textAt(provider, 'db', '', '')).toBe('new');
    expect(await textAt(provider, 'db', '', '1')).toBe('old');
    expect(await textAt(provider, 'db', '', '9')).toBeUndefined();
  });

  test('a key without a property gives the value to the byte, whatever it is', async () => {
    const fake = await started();
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    plant(fake, 'projects/p/secrets/bin', [bytes]);
    plant(fake, 'projects/p/secrets/txt', ['{"n": 12345678901234567890,  "b":1}\n']);
    const provider = await connect(fake);
    expect((await provider.get({ key: 'bin' }))?.value).toEqual({ bytes: Buffer.from(bytes) });
    expect(await textAt(provider, 'txt')).toBe('{"n": 12345678901234567890,  "b":1}\n');
    expect(await textAt(provider, 'txt', 'n')).toBe('12345678901234567890');
    expect(await said(textAt(provider, 'bin', 'n'))).toMatchObject({ code: 'provider.property_missing' });
  });

  test.each(['/prod/lambda/db', 'a/b', '', '..', 'a b', 'x?y=1', 'é', `${'a'.repeat(256)}`])(
    'a key %j, which can be no secret of Google, is refused in plain words before Google is asked',
    async (key) => {
      const fake = await started();
      const provider = await connect(fake);
      const words = /names have letters, digits, - and _ alone/;
      const error = await said(provider.get({ key }));
      expect(error).toMatchObject({ code: 'provider.spec', message: expect.stringMatching(words) });
      expect(await said(provider.metadata?.({ key }))).toMatchObject({ code: 'provider.spec' });
      const pushed = await said(provider.put?.({ key }, entry('1'), { owner: 'us' }));
      expect(pushed).toMatchObject({ code: 'provider.push', message: expect.stringMatching(words) });
      expect(await provider.delete?.({ key }, { owner: 'us' })).toBe('absent');
      expect(fake.calls).toEqual([]);
    },
  );

  test('a version that would be another path is refused', async () => {
    const fake = await started();
    plant(fake, 'projects/p/secrets/db', ['1']);
    const provider = await connect(fake);
    expect(await said(provider.get({ key: 'db', version: '1/../../other' }))).toMatchObject({
      code: 'provider.spec',
    });
    expect(fake.calls).toEqual([]);
  });

  test('a latest version that is disabled fails and says so; LatestOrFetch takes the newest that is enabled', async () => {
    const fake = await started();
    const { versions } = plant(fake, 'projects/p/secrets/db', ['1', '2', '3', '4', '5']);
    for (const [at, state] of [
      [4, 'DESTROYED'],
      [3, 'DISABLED'],
    ] as const)
      (versions[at] as { state: string }).state = state;
    const strict = await said((await connect(fake)).get({ key: 'db' }));
    expect(strict.message).toMatch(/FAILED_PRECONDITION.*DESTROYED.*LatestOrFetch/);
    const provider = await connect(fake, { secretVersionSelectionPolicy: 'LatestOrFetch' });
    expect((await provider.get({ key: 'db' }))?.version).toBe('3');
    // Upstream's: a version that is named is that one, or none.
    expect((await said(provider.get({ key: 'db', version: '4' }))).message).toMatch(/DISABLED/);
    for (const version of versions) version.state = 'DISABLED';
    expect((await said(provider.get({ key: 'db' }))).message).toMatch(/DISABLED/);
    expect(await provider.get({ key: 'none' })).toBeUndefined();
  });

  test('an answer that was damaged on the way is asked for again, not believed', async () => {
    const fake = await started();
    plant(fake, 'projects/p/secrets/db', ['right']);
    const dial: WayOut['dial'] = async (request) => {
      const answer = await wayOutTo(fake).dial(request);
      const body = textOf(answer.body)?.replace(Buffer.from('right').toString('base64'), 'd3Jvbmc=') ?? '';
      return { ...answer, body: utf8(body) };
    };
    const provider = await connect(fake, {}, { wayOut: { ...NO_WAY_OUT, dial } });
    const error = await said(provider.get({ key: 'db' }));
    expect(error).toMatchObject({ code: 'provider.read', message: expect.stringContaining('damaged') });
  });

  test('metadata has labels and annotations, and each is had by its name', async () => {
    const fake = await started();
    const given = { labels: { env: 'prod' }, annotations: { note: 'x' } };
    plant(fake, 'projects/p/secrets/db', ['1'], given);
    expect(await (await connect(fake)).metadata?.({ key: 'db' })).toEqual(given);
  });

  test('a search looks at all pages, holds a path to the beginning of names, and leaves out what has no value', async () => {
    const fake = await started();
    for (const name of ['app-1', 'app-2', 'app-3', 'my-app-4', 'app-5'])
      plant(fake, `projects/p/secrets/${name}`, ['1']);
    plant(fake, 'projects/p/secrets/app-empty', []);
    const provider = await connect(fake);
    expect(await findings(provider, { path: 'app-', name: '.' })).toEqual([
      'app-1',
      'app-2',
      'app-3',
      'app-5',
    ]);
    expect(fake.calls.find(({ query }) => query['filter'] !== undefined)?.query['filter']).toBe('name:app-');
    expect(await said(findings(provider, { path: 'app-' }))).toMatchObject({ code: 'provider.spec' });
  });

  test('what a search is asked for cannot change the grammar of Google’s filter', async () => {
    const fake = await started();
    plant(fake, 'projects/p/secrets/a', ['1'], { labels: { env: 'x' } });
    const provider = await connect(fake);
    expect(await findings(provider, { tags: { env: 'prod OR labels.env=x' } })).toEqual([]);
    expect(fake.calls.at(-1)?.query['filter']).toBeUndefined();
  });
});

describe('what Google refuses', () => {
  test.each([
    [{ status: 403, code: 'PERMISSION_DENIED' }, 'provider.denied', /secretmanager\.versions\.access/],
    [
      {
        status: 403,
        code: 'PERMISSION_DENIED',
        message: 'Secret Manager API has not been used in project 1',
      },
      'provider.denied',
      /Enable the Secret Manager API/,
    ],
    [{ status: 401, code: 'UNAUTHENTICATED' }, 'provider.login', /clock/],
    [{ status: 503, code: 'UNAVAILABLE' }, 'provider.read', /UNAVAILABLE/],
    [{ status: 429, code: 'RESOURCE_EXHAUSTED', retryAfter: '7' }, 'provider.read', /RESOURCE_EXHAUSTED/],
    [{ status: 400, code: 'INVALID_ARGUMENT' }, 'provider.spec', /INVALID_ARGUMENT/],
  ])('%j is %s', async (refusal, code, words) => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.validate();
    fake.between = () => ({ message: 'canary', ...refusal });
    const error = await said(provider.get({ key: 'db' }));
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.hint}`).toMatch(words);
    expect(`${error.message} ${error.hint}`).not.toContain('canary');
    if ('retryAfter' in refusal) expect(error.retryAfterMs).toBe(7000);
  });

  test('what passes by itself is asked for again as often as the store says', async () => {
    const fake = await started();
    plant(fake, 'projects/p/secrets/db', ['1']);
    const provider = await connect(fake, {}, { retry: { maxRetries: 2, retryIntervalMs: 1 } });
    await provider.validate();
    let left = 2;
    fake.between = () => (left-- > 0 ? { status: 503, code: 'UNAVAILABLE' } : undefined);
    expect(await textAt(provider, 'db')).toBe('1');
    left = 3;
    expect(await said(provider.get({ key: 'db' }))).toMatchObject({ code: 'provider.read' });
  });

  test('an answer that is no answer of Google’s is a read that failed', async () => {
    const fake = await started();
    const dial: WayOut['dial'] = async (request) =>
      request.url.includes(':access')
        ? { status: 200, body: utf8('<html>canary</html>') }
        : wayOutTo(fake).dial(request);
    const provider = await connect(fake, {}, { wayOut: { ...NO_WAY_OUT, dial } });
    const error = await said(provider.get({ key: 'db' }));
    expect(error).toMatchObject({ code: 'provider.read' });
    expect(String(error)).not.toContain('canary');
  });
});

describe('pushing to Google', () => {
  test('a secret is created with upstream’s label, and names who pushed it', async () => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.put?.({ key: 'db' }, entry('1'), { owner: 'uid-1' });
    const secret = fake.secrets.get('projects/p/secrets/db');
    expect(secret?.labels).toEqual({ 'managed-by': 'external-secrets', 'holdfast-pushed-by': 'uid-1' });
    expect(secret?.created['replication']).toEqual({ automatic: {} });
    expect(secret?.versions.map(({ data }) => String(data))).toEqual(['1']);
  });

  test('labels, annotations, topics, places and the key of a new secret are those of the push', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const metadata = meta({
      labels: { team: 'x' },
      annotations: { note: 'y' },
      topics: ['projects/p/topics/t'],
      replicationLocation: 'ignored',
      replicationLocations: ['europe-west1', 'europe-west3'],
      cmekKeyName: 'k',
    });
    await provider.put?.({ key: 'db' }, entry('1'), { owner: 'us', metadata });
    const customerManagedEncryption = { kmsKeyName: 'k' };
    expect(fake.secrets.get('projects/p/secrets/db')?.created).toMatchObject({
      labels: { team: 'x', 'managed-by': 'external-secrets' },
      annotations: { note: 'y' },
      topics: [{ name: 'projects/p/topics/t' }],
      replication: {
        userManaged: {
          replicas: [
            { location: 'europe-west1', customerManagedEncryption },
            { location: 'europe-west3', customerManagedEncryption },
          ],
        },
      },
    });
    expect(await provider.put?.({ key: 'db' }, entry('1'), { owner: 'us', metadata })).toBe('unchanged');
  });

  test('metadata replaces the names of others or joins them; a push without any leaves them', async () => {
    const fake = await started();
    const labels = { 'managed-by': 'external-secrets', other: 'o' };
    const secret = plant(fake, 'projects/p/secrets/db', ['1'], { labels, annotations: { note: 'n' } });
    const provider = await connect(fake);
    const put = (spec?: object) =>
      provider.put?.({ key: 'db' }, entry('1'), {
        owner: 'us',
        ...(spec === undefined ? {} : { metadata: meta(spec) }),
      });
    expect(await put()).toBe('written');
    const owned = { ...labels, 'holdfast-pushed-by': 'us' };
    expect(secret).toMatchObject({ labels: owned, annotations: { note: 'n' } });
    await put({ labels: { team: 'x' }, mergePolicy: 'Merge' });
    expect(secret.labels).toEqual({ ...owned, team: 'x' });
    await put({ labels: { team: 'y' } });
    expect(secret.labels).toEqual({
      'managed-by': 'external-secrets',
      'holdfast-pushed-by': 'us',
      team: 'y',
    });
    expect(secret.annotations).toEqual({});
    expect(secret.versions.length).toBe(1);
  });

  test('properties are pushed and taken away one by one, and the last takes the secret with it', async () => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.put?.({ key: 'db', property: 'a.b' }, entry('1'), { owner: 'us' });
    await provider.put?.({ key: 'db', property: 'c' }, entry('2'), { owner: 'them' });
    expect(await textAt(provider, 'db')).toBe('{"a":{"b":"1"},"c":"2"}');
    for (const target of [{ key: 'db', property: 'c' }, { key: 'db' }]) {
      expect(await said(provider.put?.(target, entry('3'), { owner: 'us' }))).toMatchObject({
        code: 'provider.foreign',
      });
      expect(await provider.delete?.(target, { owner: 'us' })).toBe('foreign');
    }
    expect(await provider.delete?.({ key: 'db', property: 'a.b' }, { owner: 'us' })).toBe('deleted');
    expect(await textAt(provider, 'db')).toBe('{"c":"2"}');
    const { 'managed-by': _, ...owners } = fake.secrets.get('projects/p/secrets/db')?.labels ?? {};
    expect(Object.values(owners)).toEqual(['them']);
    expect(await provider.delete?.({ key: 'db', property: 'c' }, { owner: 'them' })).toBe('deleted');
    expect(fake.secrets.size).toBe(0);
  });

  test('many properties that are pushed at once are all there', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const names = Array.from({ length: 12 }, (_, i) => `k${i}`);
    await Promise.all(
      names.map((property) => provider.put?.({ key: 'db', property }, entry(property), { owner: 'us' })),
    );
    for (const name of names) expect(await textAt(provider, 'db', name)).toBe(name);
  });

  test('what upstream pushed is taken over by who pushes to it, and until then by nobody deleted', async () => {
    const fake = await started();
    const labels = { 'managed-by': 'external-secrets' };
    plant(fake, 'projects/p/secrets/db', ['{"a":"1"}'], { labels });
    const provider = await connect(fake);
    expect(await provider.delete?.({ key: 'db' }, { owner: 'us' })).toBe('foreign');
    expect(await provider.put?.({ key: 'db' }, object({ a: '1' }), { owner: 'us' })).toBe('written');
    expect(fake.secrets.get('projects/p/secrets/db')?.versions.length).toBe(1);
    expect(await provider.delete?.({ key: 'db' }, { owner: 'us' })).toBe('deleted');
  });

  test('what may be taken over is, whole and with all its properties, and until then is not', async () => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.put?.({ key: 'db', property: 'a' }, entry('1'), { owner: 'them' });
    const asked: (string | undefined)[] = [];
    const adopt = (found: string | undefined) => asked.push(found) > 0;
    expect(await provider.put?.({ key: 'db' }, entry('2'), { owner: 'us', adopt })).toBe('written');
    expect(asked).toEqual(['them']);
    plant(fake, 'projects/p/secrets/bare', ['1']);
    expect(await provider.put?.({ key: 'bare' }, entry('1'), { owner: 'us', adopt })).toBe('written');
    for (const name of ['db', 'bare'])
      expect(fake.secrets.get(`projects/p/secrets/${name}`)?.labels).toEqual({
        'managed-by': 'external-secrets',
        'holdfast-pushed-by': 'us',
      });
  });

  test('a secret that somebody else creates in between is theirs', async () => {
    const fake = await started();
    const provider = await connect(fake);
    fake.between = ({ method, path }) => {
      if (method === 'POST' && path === 'projects/p/secrets') {
        fake.between = undefined;
        plant(fake, 'projects/p/secrets/db', ['theirs']);
      }
      return undefined;
    };
    expect(await said(provider.put?.({ key: 'db' }, entry('ours'), { owner: 'us' }))).toMatchObject({
      code: 'provider.foreign',
    });
    expect(await textAt(provider, 'db')).toBe('theirs');
  });

  test('what somebody else changed since it was looked at is not overwritten and not deleted, and tried again', async () => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.put?.({ key: 'db' }, entry('1'), { owner: 'us' });
    const secret = fake.secrets.get('projects/p/secrets/db');
    fake.between = ({ method }) => {
      if (secret !== undefined && (method === 'PATCH' || method === 'DELETE')) secret.etag = '"99"';
      return undefined;
    };
    const metadata = meta({ labels: { team: 'x' } });
    const overtaken = { code: 'provider.write' };
    expect(await said(provider.put?.({ key: 'db' }, entry('1'), { owner: 'us', metadata }))).toMatchObject(
      overtaken,
    );
    if (secret !== undefined) secret.etag = '"1"';
    expect(await said(provider.delete?.({ key: 'db' }, { owner: 'us' }))).toMatchObject(overtaken);
    expect(fake.secrets.has('projects/p/secrets/db')).toBe(true);
  });

  test('a push that broke off between the secret and its value is ended by the next one', async () => {
    const fake = await started();
    const provider = await connect(fake);
    fake.between = ({ path }) =>
      path.endsWith(':addVersion') ? { status: 503, code: 'UNAVAILABLE' } : undefined;
    expect(await said(provider.put?.({ key: 'db' }, entry('1'), { owner: 'us' }))).toMatchObject({
      code: 'provider.write',
    });
    fake.between = undefined;
    expect(await provider.get({ key: 'db' })).toBeUndefined();
    expect(await provider.put?.({ key: 'db' }, entry('1'), { owner: 'us', onlyNew: true })).toBe('written');
    expect(await textAt(provider, 'db')).toBe('1');
  });

  test.each([
    ['a field that there is not', { unknown: 1 }],
    ['the label that says who manages it', { labels: { 'managed-by': 'me' } }],
    ['the label that says who pushed it', { labels: { 'holdfast-pushed-by': 'me' } }],
    ['a policy that there is not', { mergePolicy: 'Keep' }],
  ])('metadata with %s is refused before Google is asked', async (_, spec) => {
    const fake = await started();
    const provider = await connect(fake);
    const pushed = provider.put?.({ key: 'db' }, entry('1'), { owner: 'us', metadata: meta(spec) });
    expect(await said(pushed)).toMatchObject({ code: 'provider.push' });
    expect(fake.calls).toEqual([]);
  });

  test('metadata and a property do not go together, as upstream has it', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const options = { owner: 'us', metadata: meta({}) };
    const error = await said(provider.put?.({ key: 'db', property: 'a' }, entry('1'), options));
    expect(error.message).toContain('cannot specify metadata and property at the same time');
  });

  test('what Google does not take is told by its name', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const error = await said(provider.put?.({ key: 'db' }, entry('x'.repeat(65_537)), { owner: 'us' }));
    expect(error).toMatchObject({
      code: 'provider.push',
      message: expect.stringContaining('INVALID_ARGUMENT'),
    });
  });
});

describe('as whom Google is asked', () => {
  const GSA = 'app@p.iam.gserviceaccount.com';
  const POOL = 'p.svc.id.goog';
  const ISSUER = 'https://container.googleapis.com/v1/projects/p/locations/europe-west3/clusters/c';
  const gke = (more: object = {}) => ({
    auth: {
      workloadIdentity: {
        serviceAccountRef: { name: 'app', audiences: ['extra'] },
        clusterLocation: 'europe-west3',
        clusterName: 'c',
        ...more,
      },
    },
  });
  /** A cluster whose account "app" the pools believe. */
  const cluster = (fake: FakeGoogle, annotations: Record<string, string>, audience: string) => {
    const asked: unknown[] = [];
    fake.subjects.set(subjectToken('app'), { who: 'pool:app', audience });
    fake.impersonations.set('pool:app', GSA);
    const env: Partial<ProviderEnv> = {
      serviceAccountAnnotations: async () => annotations,
      serviceAccountToken: async (ref) => {
        asked.push(ref);
        return subjectToken('app');
      },
    };
    return { env, asked };
  };

  test('a key signs for one token, which is used until shortly before it ends', async () => {
    const fake = await started();
    plant(fake, 'projects/p/secrets/db', ['1']);
    let now = Date.now();
    const provider = await connect(fake, {}, {}, { now: () => now });
    expect(await provider.validate()).toBe('ready');
    await Promise.all([provider.get({ key: 'db' }), provider.get({ key: 'db' }), provider.get({ key: 'x' })]);
    const logins = () => fake.calls.filter(({ service }) => service === 'oauth2').length;
    expect(logins()).toBe(1);
    expect(fake.calls.at(-1)?.who).toBe('eso@p.iam.gserviceaccount.com');
    expect(provider.endsAt?.()).toBeGreaterThan(now + 59 * 60_000);
    now += 56 * 60_000;
    await provider.validate();
    expect(logins()).toBe(2);
  });

  test('a key that Google does not know is a login that failed, and nothing of it is told', async () => {
    const fake = await started();
    const stranger = fake.key().replace('eso@', 'stranger@');
    const error = await said((await connect(fake, {}, { secretKey: async () => utf8(stranger) })).validate());
    expect(error).toMatchObject({
      code: 'provider.login',
      message: expect.stringContaining('invalid_grant'),
    });
    expect(JSON.stringify(error) + error.message).not.toContain('PRIVATE');
  });

  test.each(['', 'canary', '{"type":"service_account"}', '{"type":"authorized_user","canary":1}'])(
    'what is no key (%j) is told when the store is connected, and not quoted',
    async (text) => {
      const fake = await started();
      const error = await said(connect(fake, {}, { secretKey: async () => utf8(text) }));
      expect(error).toMatchObject({ code: 'provider.spec' });
      expect(error.message).toMatch(
        /the key key\.json of Secret "gcp" holds no key of a Google service account/,
      );
      expect(error.message).not.toContain('canary');
    },
  );

  test('on GKE a service account of the cluster becomes that of Google which its annotation names', async () => {
    const fake = await started();
    plant(fake, 'projects/p/secrets/db', ['1']);
    const annotations = { 'iam.gke.io/gcp-service-account': GSA };
    const { env, asked } = cluster(fake, annotations, `identitynamespace:${POOL}:${ISSUER}`);
    const provider = await connect(fake, gke({ clusterProjectID: 'p' }), env);
    expect(await textAt(provider, 'db')).toBe('1');
    expect(asked).toEqual([{ name: 'app', audiences: [POOL, 'extra'], expirationSeconds: 900 }]);
    expect(fake.calls.map(({ service, who }) => [service, who])).toEqual([
      ['securetoken', ''],
      ['iamcredentials', 'pool:app'],
      ['secretmanager', GSA],
    ]);
  });

  test('without the annotation the account itself reads', async () => {
    const fake = await started();
    const { env } = cluster(fake, {}, `identitynamespace:${POOL}:${ISSUER}`);
    const provider = await connect(fake, gke(), env);
    await provider.get({ key: 'db' });
    expect(fake.calls.at(-1)).toMatchObject({ service: 'secretmanager', who: 'pool:app' });
  });

  test('what the store does not say of its cluster the operator’s machine does, if it may be asked', async () => {
    const fake = await started();
    const { env } = cluster(fake, {}, `identitynamespace:${POOL}:${ISSUER}`);
    const bare = { projectID: '', ...gke({ clusterLocation: '', clusterName: '' }) };
    const error = await said(connect(fake, bare, env));
    expect(error.message).toMatch(/unable to find ProjectID in storeSpec/);
    const named = await said(connect(fake, { ...bare, projectID: 'p' }, env));
    expect(named.message).toMatch(/auth\.workloadIdentity\.clusterLocation is missing/);
    const facts = { project: 'p', 'cluster-location': 'europe-west3', 'cluster-name': 'c' };
    const provider = await connect(fake, bare, env, { machine: async (fact) => facts[fact] });
    expect(await provider.validate()).toBe('ready');
  });

  test('an account that may not be impersonated is told with what has to be granted', async () => {
    const fake = await started();
    const annotations = { 'iam.gke.io/gcp-service-account': 'boss@p.iam.gserviceaccount.com' };
    const { env } = cluster(fake, annotations, `identitynamespace:${POOL}:${ISSUER}`);
    const error = await said((await connect(fake, gke(), env)).validate());
    expect(error).toMatchObject({ code: 'provider.login' });
    expect(error.hint).toMatch(/roles\/iam\.workloadIdentityUser/);
    expect(`${error.message}${error.hint}`).not.toContain('canary');
  });

  const AUDIENCE = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/w/providers/k';
  const federation = (spec: object) => ({ auth: { workloadIdentityFederation: spec } });

  test('by federation a service account of any cluster is believed, and impersonates whom the store names', async () => {
    const fake = await started();
    const { env, asked } = cluster(fake, {}, AUDIENCE);
    const serviceAccountRef = { name: 'app', audiences: ['mine'] };
    const spec = { audience: AUDIENCE, serviceAccountRef, gcpServiceAccountEmail: GSA };
    const provider = await connect(fake, federation(spec), env);
    await provider.get({ key: 'db' });
    expect(asked).toEqual([{ name: 'app', audiences: ['mine'], expirationSeconds: 600 }]);
    expect(fake.calls.map(({ service, who }) => [service, who])).toEqual([
      ['sts', ''],
      ['iamcredentials', 'pool:app'],
      ['secretmanager', GSA],
    ]);
  });

  test('by federation keys of AWS sign who they are', async () => {
    const fake = await started();
    const data = new Map([
      ['aws_access_key_id', utf8('AKIAME\n')],
      ['aws_secret_access_key', utf8('canary-secret')],
    ]);
    const spec = {
      audience: AUDIENCE,
      awsSecurityCredentials: { region: 'eu-west-1', awsCredentialsSecretRef: { name: 'aws' } },
    };
    const provider = await connect(fake, federation(spec), { secret: async () => ({ labels: {}, data }) });
    await provider.get({ key: 'db' });
    expect(fake.calls.at(-1)).toMatchObject({ service: 'secretmanager', who: 'aws:AKIAME' });
    expect(JSON.stringify(fake.calls)).not.toContain('canary-secret');
  });

  const file =
    (more: object): ProviderEnv['configMapKey'] =>
    async () =>
      utf8(
        JSON.stringify({
          type: 'external_account',
          audience: AUDIENCE,
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          token_url: 'https://sts.googleapis.com/v1/token',
          ...more,
        }),
      );
  const credConfig = { name: 'wif', key: 'json' };

  test('by federation an endpoint that gives tokens is asked by the operator’s way out', async () => {
    const fake = await started();
    cluster(fake, {}, AUDIENCE);
    const endpoint = `${fake.url}/issuer/token`;
    const configMapKey = file({
      credential_source: {
        url: endpoint,
        format: { type: 'json', subject_token_field_name: 'id_token' },
      },
    });
    const spec = { credConfig, externalTokenEndpoint: endpoint };
    const dial: WayOut['dial'] = async (request) =>
      request.url === endpoint
        ? { status: 200, body: utf8(JSON.stringify({ id_token: subjectToken('app') })) }
        : wayOutTo(fake).dial(request);
    const provider = await connect(fake, federation(spec), { configMapKey, wayOut: { ...NO_WAY_OUT, dial } });
    await provider.get({ key: 'db' });
    expect(fake.calls.at(-1)).toMatchObject({ service: 'secretmanager', who: 'pool:app' });
    const closed = await connect(fake, federation(spec), { configMapKey, wayOut: NO_WAY_OUT });
    expect(await said(closed.validate())).toMatchObject({ code: 'dial.refused' });
  });

  test.each([
    ['a file of the operator', { credential_source: { file: '/etc/shadow' } }],
    ['a program', { credential_source: { executable: { command: '/bin/sh' } } }],
    [
      'the metadata of the operator’s machine',
      {
        credential_source: {
          environment_id: 'aws1',
          url: 'http://169.254.169.254/latest/meta-data/iam/security-credentials',
        },
      },
    ],
    ['another endpoint than the store names', { credential_source: { url: 'https://other.example.com/' } }],
    [
      'an address that is no security token service',
      { credential_source: { url: 'https://issuer' }, token_url: 'https://evil.example.com/token' },
    ],
    [
      'an address that is not one of Google for the impersonation',
      {
        credential_source: { url: 'https://issuer' },
        service_account_impersonation_url: 'https://evil.example.com/x:generateAccessToken',
      },
    ],
    ['a person', { type: 'authorized_user', credential_source: { url: 'https://issuer' } }],
  ])('a configuration that names %s is refused before anything is asked', async (_, more) => {
    const fake = await started();
    const spec = { credConfig, externalTokenEndpoint: 'https://issuer' };
    const error = await said(connect(fake, federation(spec), { configMapKey: file(more) }));
    expect(error).toMatchObject({ code: 'provider.spec' });
    expect(error.message).toContain('invalid workloadIdentityFederation config');
    expect(fake.calls).toEqual([]);
  });

  test.each([
    [{}, /exactly one of/],
    [{ serviceAccountRef: { name: 'a' } }, /audience must be provided/],
    [{ serviceAccountRef: { name: 'a' }, credConfig, audience: 'x' }, /exactly one of/],
  ])('a federation of %j is told what it lacks', async (spec, words) => {
    const fake = await started();
    expect((await said(connect(fake, federation(spec)))).message).toMatch(words);
  });

  test('a store that names no identity is refused, as the operator lends its own to nobody', async () => {
    const fake = await started();
    expect(await said(connect(fake, { auth: {} }))).toMatchObject({ code: 'provider.unsupported' });
  });
});

describe('the operator’s own identity, where it lends it', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test('is that of its machine, which also says the project and the cluster', async () => {
    const fake = await started();
    plant(fake, 'projects/p/secrets/db', ['1']);
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', undefined);
    vi.stubEnv('HOME', '/nonexistent');
    vi.stubEnv('GCE_METADATA_HOST', `127.0.0.1:${fake.port}`);
    vi.stubEnv('METADATA_SERVER_DETECTION', 'assume-present');
    const options = { lendOwnKeys: true, machine: googleMachine };
    const provider = await connect(fake, { projectID: '', auth: {} }, {}, options);
    expect(await textAt(provider, 'db')).toBe('1');
    expect(fake.calls.at(-1)?.who).toBe('operator');
    expect(await googleMachine('cluster-location')).toBe('europe-west3');
    expect(await googleMachine('cluster-name')).toBe('c');
  });
});

describe('where it may lead', () => {
  test('an address that the operator does not allow is not asked', async () => {
    const fake = await started();
    const provider = await connect(fake, {}, { wayOut: NO_WAY_OUT });
    expect(await said(provider.get({ key: 'db' }))).toMatchObject({ code: 'dial.refused' });
    expect(fake.calls).toEqual([]);
  });

  test('no key and no version leads to anything but a version of a secret of that project', async () => {
    const fake = await started();
    const asked: string[] = [];
    const dial: WayOut['dial'] = (request) => {
      if (!request.url.endsWith('/token')) asked.push(request.url.slice(fake.url.length));
      return wayOutTo(fake).dial(request);
    };
    const provider = await connect(fake, {}, { wayOut: { ...NO_WAY_OUT, dial } });
    const word = fc.oneof(fc.string(), fc.stringMatching(/^[a-z/.%?#:@-]{0,12}$/));
    await fc.assert(
      fc.asyncProperty(word, word, async (key, version) => {
        await said(provider.get({ key, version }));
      }),
      // One that is asked, whatever is drawn.
      { numRuns: 200, examples: [['db', '1']] },
    );
    for (const url of asked)
      expect(url).toMatch(
        /^\/secretmanager\/v1\/projects\/p\/secrets\/[\w-]{1,255}\/versions\/[\w-]{1,63}:access$/,
      );
    expect(asked.length).toBeGreaterThan(0);
  });

  test('a store that waits for Google keeps no other waiting', async () => {
    const fake = await started();
    plant(fake, 'projects/p/secrets/db', ['1']);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const dial: WayOut['dial'] = async (request) => {
      await held;
      return wayOutTo(fake).dial(request);
    };
    const slow = await connect(fake, {}, { wayOut: { ...NO_WAY_OUT, dial } });
    const waiting = textAt(slow, 'db');
    expect(await textAt(await connect(fake), 'db')).toBe('1');
    release();
    expect(await waiting).toBe('1');
  });

  test('a region has a host of its own, and the operator’s variables go before all', () => {
    expect(endpointOf('secretmanager')).toBe('https://secretmanager.googleapis.com');
    expect(endpointOf('secretmanager', 'europe-west3')).toBe(
      'https://secretmanager.europe-west3.rep.googleapis.com',
    );
    const from = endpointsFrom({ CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: 'http://emulator:1/' });
    expect(routed('https://secretmanager.europe-west3.rep.googleapis.com/v1/x?y=1', from)).toBe(
      'http://emulator:1/v1/x?y=1',
    );
    expect(routed('https://sts.googleapis.com/v1/token', from)).toBe('https://sts.googleapis.com/v1/token');
    expect(routed('https://secretmanager.evil.com/v1', from)).toBe('https://secretmanager.evil.com/v1');
  });

  test.each([
    { location: 'evil.example.com' },
    { location: 'a/b' },
    { projectID: 'p/secrets/x' },
    { projectID: '..' },
  ])('a store of %j, which would be another host or path, is refused', (spec) => {
    expect(gcpSpec.safeParse(spec).success).toBe(false);
  });

  test('a store of one region asks the host of that region', async () => {
    const asked: string[] = [];
    const fake = await started();
    const dial: WayOut['dial'] = async (request) => {
      asked.push(new URL(request.url).host);
      return wayOutTo(fake).dial({ ...request, url: routed(request.url, fake.endpoint) });
    };
    const options = { endpoints: () => undefined };
    const provider = await connect(
      fake,
      { location: 'europe-west3' },
      { wayOut: { ...NO_WAY_OUT, dial } },
      options,
    );
    await provider.get({ key: 'db' });
    expect(asked).toEqual(['oauth2.googleapis.com', 'secretmanager.europe-west3.rep.googleapis.com']);
  });
});
