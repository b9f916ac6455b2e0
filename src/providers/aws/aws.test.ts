/** Against a small AWS of ours that checks each signature, over a socket, through the way out that the operator judges. */

import { afterEach, describe, expect, test, vi } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { describeProvider, type Harness, type Planted } from '../../provider/conformance.ts';
import { NO_WAY_OUT, type WayOut, webJudge } from '../../provider/egress.ts';
import { lookup } from '../../provider/property.ts';
import type { Provider, ProviderEnv, Value } from '../../provider/provider.ts';
import { entry, object, said, testEnv } from '../../provider/testing.ts';
import { createDial } from '../../server/http/dial.ts';
import { type AwsOptions, createAwsProvider } from './aws.ts';
import { retries } from './client.ts';
import { endpointFrom, endpointOf } from './endpoints.ts';
import { awsSpec } from './spec.ts';
import { type FakeAws, startFakeAws } from './testing.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const started = async (): Promise<FakeAws> => {
  const fake = await startFakeAws();
  closing.push(() => fake.close());
  return fake;
};

/** What the operator's own list allows is the fake, and nothing else of this machine. */
const wayOutTo = (fake: FakeAws): WayOut => ({
  dial: createDial({
    target: (host, port) => ({ host, port }),
    allow: webJudge({ allowed: ({ port }) => port === fake.port, isCluster: () => false }),
  }),
  mayReach: () => false,
  mayReachCluster: () => false,
});

const secretKey: ProviderEnv['secretKey'] = async ({ name, key }) => {
  const data: Record<string, string> = { id: 'AKIAROOT\n', secret: 'rootSecret' };
  const found = name === 'keys' ? data[key] : undefined;
  if (found === undefined) throw failure('operator.ref_missing', { kind: 'Secret', name, namespace: 'team' });
  return utf8(found);
};

const ROOT = {
  secretRef: {
    accessKeyIDSecretRef: { name: 'keys', key: 'id' },
    secretAccessKeySecretRef: { name: 'keys', key: 'secret' },
  },
};

async function connect(
  fake: FakeAws,
  spec: object = {},
  env: Partial<ProviderEnv> = {},
  options: AwsOptions = {},
): Promise<Provider> {
  const read = awsSpec.parse({ service: 'SecretsManager', region: 'eu-west-1', auth: ROOT, ...spec });
  const provider = await createAwsProvider({ endpoint: () => fake.url, ...options }).connect(
    read,
    testEnv({ wayOut: wayOutTo(fake), secretKey, retry: { maxRetries: 0 }, ...env }),
  );
  closing.push(() => provider.close());
  return provider;
}

const plantSecrets = (fake: FakeAws, planted: readonly Planted[]): void => {
  for (const { key, fields, version = 'v1', tags = {} } of planted) {
    const had = fake.secrets.get(key)?.versions ?? [];
    for (const { stages } of had) stages.delete('AWSCURRENT');
    fake.secrets.set(key, {
      name: key,
      tags: new Map(Object.entries(tags)),
      versions: [
        ...had,
        { id: `id-${version}`, stages: new Set(['AWSCURRENT', version]), text: JSON.stringify(fields) },
      ],
      regions: [],
    });
  }
};
const plantParameters = (fake: FakeAws, planted: readonly Planted[]): void => {
  for (const { key, fields, tags = {} } of planted)
    fake.parameters.set(key, {
      name: key,
      tags: new Map(Object.entries(tags)),
      values: [...(fake.parameters.get(key)?.values ?? []), JSON.stringify(fields)],
      type: 'String',
      request: {},
    });
};

const harness = (fake: FakeAws, provider: Provider): Harness => ({
  provider,
  stop: async () => {
    await provider.close();
    await fake.close();
  },
});

const ONE_TEXT = 'a secret of AWS is one value; bytes within a JSON object have no form';

describeProvider('AWS Secrets Manager', {
  async start(planted) {
    const fake = await startFakeAws();
    plantSecrets(fake, planted);
    return harness(fake, await connect(fake));
  },
  without: { binary: ONE_TEXT, properties: ONE_TEXT },
});

const DECODED = {
  apiVersion: 'kubernetes.external-secrets.io/v1alpha1',
  kind: 'PushSecretMetadata',
  spec: { encodeAsDecoded: true },
};

describeProvider('AWS Parameter Store', {
  async start(planted) {
    const fake = await startFakeAws();
    plantParameters(fake, planted);
    const provider = await connect(fake, { service: 'ParameterStore' });
    // A whole Secret is written in base64 unless a push asks for texts, which the suite reads back.
    const put: Provider['put'] = (target, value, options) =>
      provider.put?.(target, value, { metadata: DECODED, ...options }) as Promise<'written'>;
    return harness(fake, { ...provider, put });
  },
  without: { binary: ONE_TEXT, properties: ONE_TEXT },
});

const meta = (spec: object): object => ({ ...DECODED, spec });

describe('reading from AWS', () => {
  test('a version is a stage, or the id of a version after "uuid/", and the prefix stands before each key', async () => {
    const fake = await started();
    plantSecrets(fake, [
      { key: 'team/db', fields: { a: 'old' }, version: 'AWSPREVIOUS' },
      { key: 'team/db', fields: { a: 'new' } },
    ]);
    const provider = await connect(fake, { prefix: 'team/' });
    const read = async (version?: string) => {
      const got = await provider.get({ key: 'db', ...(version === undefined ? {} : { version }) });
      return got === undefined ? undefined : [textOf(lookup(got.value, 'a', 'db')), got.version];
    };
    expect(await read()).toEqual(['new', 'id-v1']);
    expect(await read('AWSPREVIOUS')).toEqual(['old', 'id-AWSPREVIOUS']);
    expect(await read('uuid/id-AWSPREVIOUS')).toEqual(['old', 'id-AWSPREVIOUS']);
    expect(await read('uuid/none')).toBeUndefined();
  });

  test('what is marked for deletion is absent', async () => {
    const fake = await started();
    plantSecrets(fake, [{ key: 'app', fields: { a: '1' } }]);
    const secret = fake.secrets.get('app');
    if (secret !== undefined) secret.deletedAt = 1;
    expect(await (await connect(fake)).get({ key: 'app' })).toBeUndefined();
  });

  test('bytes come out as they went in, and text to the letter', async () => {
    const fake = await started();
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const stages = new Set(['AWSCURRENT']);
    const rest = { tags: new Map(), regions: [] };
    const binary = Buffer.from(bytes).toString('base64');
    fake.secrets.set('bin', { name: 'bin', versions: [{ id: '1', stages, binary }], ...rest });
    const text = '{"n": 12345678901234567890,  "b":1}';
    fake.secrets.set('txt', { name: 'txt', versions: [{ id: '1', stages, text }], ...rest });
    const provider = await connect(fake);
    expect((await provider.get({ key: 'bin' }))?.value).toEqual({ bytes });
    const read = (await provider.get({ key: 'txt' }))?.value as Value;
    expect(textOf(lookup(read, '', 'txt'))).toBe(text);
    expect(textOf(lookup(read, 'n', 'txt'))).toBe('12345678901234567890');
  });

  test('a search by tags holds name and value together, though AWS filters them apart', async () => {
    const fake = await started();
    plantSecrets(fake, [
      { key: 'right', fields: { v: '1' }, tags: { env: 'prod' } },
      { key: 'crossed', fields: { v: '2' }, tags: { env: 'test', tier: 'prod' } },
      { key: 'longer', fields: { v: '3' }, tags: { env: 'production' } },
    ]);
    const names = [];
    for await (const [name] of (await connect(fake)).find?.({ tags: { env: 'prod' } }) ?? [])
      names.push(name);
    expect(names).toEqual(['right']);
  });

  test('many secrets are found in few requests, and one by one by who may not ask for many', async () => {
    const fake = await started();
    plantSecrets(
      fake,
      Array.from({ length: 25 }, (_, i) => ({ key: `app/${i}`, fields: { v: String(i) } })),
    );
    const find = async (provider: Provider) => {
      fake.calls.length = 0;
      let found = 0;
      for await (const _ of provider.find?.({ path: 'app/', name: '.*' }) ?? []) found++;
      return [found, fake.calls.filter(({ action }) => action.includes('SecretValue')).length];
    };
    const provider = await connect(fake);
    expect(await find(provider)).toEqual([25, 3]);
    fake.between = ({ action }) =>
      action === 'BatchGetSecretValue' ? { status: 400, code: 'AccessDeniedException' } : undefined;
    expect(await find(await connect(fake))).toEqual([25, 26]);
  });

  test('parameters are found below a path, and by who may not ask so one by one', async () => {
    const fake = await started();
    plantParameters(fake, [
      { key: '/app/a', fields: { v: '1' } },
      { key: '/app/b', fields: { v: '2' } },
      { key: '/app/c', fields: { v: '3' } },
      { key: '/other/a', fields: { v: '4' } },
    ]);
    const provider = await connect(fake, { service: 'ParameterStore' });
    const find = async () => {
      const names = [];
      for await (const [name] of provider.find?.({ path: '/app', name: '.*' }) ?? []) names.push(name);
      return names;
    };
    expect(await find()).toEqual(['/app/a', '/app/b', '/app/c']);
    fake.between = ({ action }) =>
      action === 'GetParametersByPath' ? { status: 400, code: 'AccessDeniedException' } : undefined;
    expect(await find()).toEqual(['/app/a', '/app/b', '/app/c']);
  });
});

describe('what AWS refuses', () => {
  const cases: [string, { status: number; code: string; message?: string }, string, RegExp][] = [
    [
      'a policy that does not grant it names who lacks what',
      {
        status: 400,
        code: 'AccessDeniedException',
        message: 'User: arn:aws:sts::1:assumed-role/eso/x is not authorized to perform: canary-sentence',
      },
      'provider.denied',
      /Let the policy of arn:aws:sts::1:assumed-role\/eso\/x grant secretsmanager:GetSecretValue on it/,
    ],
    [
      'a key of KMS that is not granted',
      { status: 400, code: 'DecryptionFailure' },
      'provider.denied',
      /kms/,
    ],
    [
      'keys that AWS does not know',
      { status: 400, code: 'UnrecognizedClientException' },
      'provider.login',
      /UnrecognizedClient/,
    ],
    ['too many requests', { status: 400, code: 'ThrottlingException' }, 'provider.read', /Throttling/],
    ['a fault of AWS', { status: 500, code: 'InternalServiceError' }, 'provider.read', /InternalService/],
    [
      'a name that AWS does not take',
      { status: 400, code: 'ValidationException', message: 'canary-sentence' },
      'provider.spec',
      /Validation/,
    ],
  ];
  test.each(cases)('%s', async (_, refusal, code, words) => {
    const fake = await started();
    fake.between = () => refusal;
    const error = await said((await connect(fake)).get({ key: 'app' }));
    expect(error.code).toBe(code);
    const all = `${error.message} ${(error as { hint?: string }).hint}`;
    expect(all).toMatch(words);
    expect(all).not.toContain('canary-sentence');
  });

  test('a refusal that says when to ask again carries that on', async () => {
    const fake = await started();
    fake.between = () => ({ status: 429, code: 'ThrottlingException', retryAfter: '7' });
    expect(await said((await connect(fake)).get({ key: 'app' }))).toMatchObject({
      code: 'provider.read',
      kind: 'unavailable',
      retryAfterMs: 7000,
    });
  });

  test('retrySettings say how often it is tried again, and nothing is that is not worth it', async () => {
    const fake = await started();
    plantSecrets(fake, [{ key: 'app', fields: { a: '1' } }]);
    const provider = await connect(fake, {}, { retry: { maxRetries: 2, retryIntervalMs: 1 } });
    let left = 2;
    fake.between = () => (left-- > 0 ? { status: 400, code: 'ThrottlingException' } : undefined);
    expect(await provider.get({ key: 'app' })).toBeDefined();
    expect(fake.calls.length).toBe(3);
    fake.between = () => ({ status: 500, code: 'InternalServiceError' });
    fake.calls.length = 0;
    expect(await said(provider.get({ key: 'app' }))).toMatchObject({ code: 'provider.read' });
    expect(fake.calls.length).toBe(3);
    fake.between = () => ({ status: 400, code: 'AccessDeniedException' });
    fake.calls.length = 0;
    await said(provider.get({ key: 'app' }));
    expect(fake.calls.length).toBe(1);
  });

  test('the wait between two tries is the one of the settings, or a growing one, and never longer than asked for', async () => {
    const at = (settings: ProviderEnv['retry']) =>
      retries(settings, () => 1) as unknown as {
        refreshRetryTokenForRetry(t: object, e: object): Promise<{ getRetryDelay(): number }>;
      };
    const token = (count: number) => ({ getRetryCount: () => count });
    const wait = async (settings: ProviderEnv['retry'], count: number, cause: object) =>
      (await at(settings).refreshRetryTokenForRetry(token(count), cause)).getRetryDelay();
    const throttled = { errorType: 'THROTTLING' };
    expect(await wait({ maxRetries: 5, retryIntervalMs: 1234 }, 4, throttled)).toBe(1234);
    expect(await wait(undefined, 1, { errorType: 'TRANSIENT' })).toBe(200);
    expect(await wait(undefined, 1, throttled)).toBe(1000);
    const far = { ...throttled, retryAfterHint: new Date(Date.now() + 3_600_000) };
    expect(await wait(undefined, 0, far)).toBe(20_000);
    await expect(wait({ maxRetries: 0 }, 0, throttled)).rejects.toThrow();
  });
});

describe('pushing to AWS', () => {
  test('a new secret is bytes, managed, described, and of the key and tags that the push names', async () => {
    const fake = await started();
    const provider = await connect(fake, { prefix: 'p/' });
    const metadata = meta({
      tags: { team: 'x' },
      kmsKeyId: 'alias/own',
      replicationLocations: ['us-east-1'],
    });
    expect(await provider.put?.({ key: 'new' }, object({ a: '1' }), { owner: 'us', metadata })).toBe(
      'written',
    );
    const { body } = fake.calls.find(({ action }) => action === 'CreateSecret') ?? {};
    expect(body).toMatchObject({
      Name: 'p/new',
      KmsKeyId: 'alias/own',
      Description: "secret 'managed-by:external-secrets'",
      ClientRequestToken: '00000000-0000-0000-0000-000000000001',
      SecretBinary: Buffer.from('{"a":"1"}').toString('base64'),
      AddReplicaRegions: [{ Region: 'us-east-1', KmsKeyId: 'alias/own' }],
    });
    expect(Object.fromEntries(fake.secrets.get('p/new')?.tags ?? [])).toEqual({
      team: 'x',
      'managed-by': 'external-secrets',
      'holdfast.dev/pushed-by': 'us',
    });
  });

  test('the format "string" writes text, and refuses what is none', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const options = { owner: 'us', metadata: meta({ secretPushFormat: 'string' }) };
    await provider.put?.({ key: 'new' }, entry('text'), options);
    expect(fake.secrets.get('new')?.versions.at(-1)?.text).toBe('text');
    const error = await said(provider.put?.({ key: 'b' }, { bytes: Uint8Array.of(255) }, options));
    expect(error.code).toBe('provider.push');
  });

  test('properties of two owners live in one secret, in order and to the digit, and each takes away its own', async () => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.put?.({ key: 's', property: 'a.b' }, entry('1'), { owner: 'us' });
    await provider.put?.({ key: 's', property: 'c' }, entry('2'), { owner: 'them' });
    const text = async () => {
      const read = await provider.get({ key: 's' });
      return read === undefined ? undefined : textOf(lookup(read.value, '', 's'));
    };
    expect(await text()).toBe('{"a":{"b":"1"},"c":"2"}');
    const stolen = provider.put?.({ key: 's', property: 'c' }, entry('3'), { owner: 'us' });
    expect(await said(stolen)).toMatchObject({ code: 'provider.foreign' });
    expect(await said(provider.put?.({ key: 's' }, entry('x'), { owner: 'us' }))).toMatchObject({
      code: 'provider.foreign',
    });
    expect(await provider.delete?.({ key: 's', property: 'c' }, { owner: 'us' })).toBe('foreign');
    expect(await provider.delete?.({ key: 's' }, { owner: 'us' })).toBe('foreign');
    expect(await provider.delete?.({ key: 's', property: 'a.b' }, { owner: 'us' })).toBe('deleted');
    expect(await text()).toBe('{"c":"2"}');
    expect(await provider.delete?.({ key: 's', property: 'c' }, { owner: 'them' })).toBe('deleted');
    expect(await text()).toBeUndefined();
  });

  test('many properties that are pushed at once are all there', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const names = Array.from({ length: 12 }, (_, i) => `k${i}`);
    await Promise.all(
      names.map((property) => provider.put?.({ key: 's', property }, entry(property), { owner: 'us' })),
    );
    const read = (await provider.get({ key: 's' }))?.value as Value;
    for (const name of names) expect(textOf(lookup(read, name, 's'))).toBe(name);
  });

  test('what upstream pushed is taken over by who pushes to it, and until then by nobody deleted', async () => {
    const fake = await started();
    plantSecrets(fake, [{ key: 's', fields: { a: '1' }, tags: { 'managed-by': 'external-secrets' } }]);
    const provider = await connect(fake);
    expect(await provider.delete?.({ key: 's' }, { owner: 'us' })).toBe('foreign');
    expect(await provider.put?.({ key: 's' }, object({ a: '1' }), { owner: 'us' })).toBe('written');
    expect(fake.calls.map(({ action }) => action)).not.toContain('PutSecretValue');
    expect(await provider.put?.({ key: 's' }, object({ a: '1' }), { owner: 'us' })).toBe('unchanged');
    expect(await provider.delete?.({ key: 's' }, { owner: 'us' })).toBe('deleted');
  });

  test('a secret that its own push deleted is restored by the next one', async () => {
    const fake = await started();
    const provider = await connect(fake, { secretsManager: { recoveryWindowInDays: 7 } });
    await provider.put?.({ key: 's' }, entry('1'), { owner: 'us' });
    expect(await provider.delete?.({ key: 's' }, { owner: 'us' })).toBe('deleted');
    expect(fake.secrets.get('s')?.deletion).toMatchObject({ RecoveryWindowInDays: 7 });
    expect(await provider.put?.({ key: 's' }, entry('1'), { owner: 'us' })).toBe('written');
    expect(await provider.get({ key: 's' })).toBeDefined();
  });

  test('replicas are made and withdrawn, before a deletion too', async () => {
    const fake = await started();
    const provider = await connect(fake, { secretsManager: { forceDeleteWithoutRecovery: true } });
    const put = (replicationLocations: string[]) =>
      provider.put?.({ key: 's' }, entry('1'), { owner: 'us', metadata: meta({ replicationLocations }) });
    await put(['us-east-1']);
    expect(await put(['us-west-2'])).toBe('written');
    expect(fake.secrets.get('s')?.regions).toEqual(['us-west-2']);
    expect(await put(['us-west-2'])).toBe('unchanged');
    expect(await provider.delete?.({ key: 's' }, { owner: 'us' })).toBe('deleted');
    expect(fake.secrets.has('s')).toBe(false);
  });

  test('the policy that a push names is kept, and without one what others set stays', async () => {
    const fake = await started();
    const provider = await connect(fake, {}, { configMapKey: async () => utf8('{"Version":"2012-10-17"}') });
    const policySourceRef = { kind: 'ConfigMap', name: 'policy', key: 'json' };
    const metadata = meta({ resourcePolicy: { policySourceRef, blockPublicPolicy: true } });
    await provider.put?.({ key: 's' }, entry('1'), { owner: 'us', metadata });
    expect(fake.secrets.get('s')?.policy).toBe('{"Version":"2012-10-17"}');
    expect(await provider.put?.({ key: 's' }, entry('1'), { owner: 'us', metadata })).toBe('unchanged');
    expect(await provider.put?.({ key: 's' }, entry('1'), { owner: 'us' })).toBe('unchanged');
    expect(fake.secrets.get('s')?.policy).toBe('{"Version":"2012-10-17"}');
  });

  test('a whole Secret is a parameter of base64 values as upstream writes it, of the type and tier that the push names', async () => {
    const fake = await started();
    const provider = await connect(fake, { service: 'ParameterStore' });
    const metadata = meta({ secretType: 'SecureString', kmsKeyID: 'k', tier: { type: 'Advanced' } });
    await provider.put?.({ key: '/p' }, object({ b: '2', a: '1' }), { owner: 'us', metadata });
    expect(fake.parameters.get('/p')?.values).toEqual(['{"a":"MQ==","b":"Mg=="}']);
    expect(fake.parameters.get('/p')?.request).toMatchObject({
      Type: 'SecureString',
      KeyId: 'k',
      Tier: 'Advanced',
    });
    await provider.put?.({ key: '/q' }, entry('plain'), { owner: 'us' });
    expect(fake.parameters.get('/q')?.request).toMatchObject({ Type: 'String', Value: 'plain' });
  });

  test('properties of a parameter are pushed and taken away one by one', async () => {
    const fake = await started();
    const provider = await connect(fake, { service: 'ParameterStore' });
    await provider.put?.({ key: '/p', property: 'a' }, entry('1'), { owner: 'us' });
    await provider.put?.({ key: '/p', property: 'b' }, entry('2'), { owner: 'us' });
    expect(await provider.delete?.({ key: '/p', property: 'a' }, { owner: 'us' })).toBe('deleted');
    expect(fake.parameters.get('/p')?.values.at(-1)).toBe('{"b":"2"}');
    expect(await provider.delete?.({ key: '/p', property: 'a' }, { owner: 'us' })).toBe('absent');
    expect(await provider.delete?.({ key: '/p', property: 'b' }, { owner: 'us' })).toBe('deleted');
    expect(fake.parameters.has('/p')).toBe(false);
  });

  test.each([
    ['a field that there is not', { unknown: 1 }],
    ['the tag that says who manages it', { tags: { 'managed-by': 'me' } }],
    ['the tag that says who pushed it', { tags: { 'holdfast.dev/pushed-by': 'me' } }],
    ['a format that there is not', { secretPushFormat: 'json' }],
  ])('metadata with %s is refused before AWS is asked', async (_, spec) => {
    const fake = await started();
    const provider = await connect(fake);
    const error = await said(provider.put?.({ key: 's' }, entry('1'), { owner: 'us', metadata: meta(spec) }));
    expect(error.code).toBe('provider.push');
    expect(fake.calls).toEqual([]);
  });
});

describe('the keys of a store', () => {
  const irsa = { jwt: { serviceAccountRef: { name: 'app', audiences: ['extra'] } } };
  const ROLE = 'arn:aws:iam::1:role/app';
  const account = (given: Record<string, string> = { 'eks.amazonaws.com/role-arn': ROLE }) => {
    const asked: unknown[] = [];
    const env: Partial<ProviderEnv> = {
      serviceAccountAnnotations: async () => given,
      serviceAccountToken: async (ref) => {
        asked.push(ref);
        return 'the.account.token';
      },
    };
    return { env, asked };
  };

  test('a service account’s token is shown to STS for the role on it, once for many reads', async () => {
    const fake = await started();
    plantSecrets(fake, [{ key: 'app', fields: { a: '1' } }]);
    const { env, asked } = account();
    const provider = await connect(fake, { auth: irsa }, env);
    expect(await provider.validate()).toBe('ready');
    await Promise.all([
      provider.get({ key: 'app' }),
      provider.get({ key: 'app' }),
      provider.get({ key: 'x' }),
    ]);
    expect(asked).toEqual([
      { name: 'app', audiences: ['sts.amazonaws.com', 'extra'], expirationSeconds: 600 },
    ]);
    const [login, ...reads] = fake.calls;
    expect(login).toMatchObject({
      action: 'AssumeRoleWithWebIdentity',
      body: {
        RoleArn: ROLE,
        WebIdentityToken: 'the.account.token',
        RoleSessionName: 'external-secrets-provider-aws',
      },
    });
    expect(reads.map(({ action }) => action)).toEqual(Array(3).fill('GetSecretValue'));
    expect(reads.every(({ accessKey }) => accessKey.startsWith('ASIA'))).toBe(true);
  });

  test('the audience on the account goes before the usual one, and an account without a role says so at once', async () => {
    const fake = await started();
    const { env, asked } = account({
      'eks.amazonaws.com/role-arn': ROLE,
      'eks.amazonaws.com/audience': 'own',
    });
    await (await connect(fake, { auth: irsa }, env)).validate();
    expect(asked).toMatchObject([{ audiences: ['own', 'extra'] }]);
    const error = await said(connect(fake, { auth: irsa }, account({}).env));
    expect(error.message).toMatch(/an IAM role must be associated with service account app/);
  });

  test('roles are assumed one by the other; the external id and the tags are the last one’s', async () => {
    const fake = await started();
    const provider = await connect(fake, {
      additionalRoles: ['arn:aws:iam::1:role/hop'],
      role: ROLE,
      externalID: 'ext',
      sessionTags: [{ key: 'team', value: 'x' }],
      transitiveTagKeys: ['team'],
    });
    await provider.get({ key: 'app' });
    const [hop, last, read] = fake.calls;
    expect(hop).toMatchObject({ accessKey: 'AKIAROOT', body: { RoleArn: 'arn:aws:iam::1:role/hop' } });
    expect(hop?.body).not.toHaveProperty('ExternalId');
    expect(last?.body).toMatchObject({
      RoleArn: ROLE,
      ExternalId: 'ext',
      'Tags.member.1.Key': 'team',
      'Tags.member.1.Value': 'x',
      'TransitiveTagKeys.member.1': 'team',
    });
    expect(read?.action).toBe('GetSecretValue');
    expect(new Set(fake.calls.map(({ accessKey }) => accessKey)).size).toBe(3);
  });

  test('sessionTagsPolicy writes who uses the store; a store that is only checked has nobody to name', async () => {
    const fake = await started();
    const spec = { role: ROLE, sessionTagsPolicy: 'Custom', customSessionTags: { team: 'x' } };
    const env = { store: 'ClusterSecretStore shop', cluster: true, namespace: () => 'orders' };
    await (await connect(fake, spec, env)).validate();
    const { body = {} } = fake.calls[0] ?? {};
    const tags = [1, 2, 3, 4].map((n) => [body[`Tags.member.${n}.Key`], body[`Tags.member.${n}.Value`]]);
    expect(Object.fromEntries(tags)).toEqual({
      team: 'x',
      esoNamespace: 'orders',
      esoStoreName: 'shop',
      esoStoreKind: 'ClusterSecretStore',
    });
    const namespace = () => {
      throw failure('operator.ref_referent', { kind: 'ExternalSecret', name: 'that uses it' });
    };
    expect(await said(connect(fake, spec, { ...env, namespace }))).toMatchObject({
      code: 'operator.ref_referent',
    });
  });

  test('a session is renewed before its end, and kept while a renewal fails', async () => {
    const fake = await started();
    let now = Date.now();
    const provider = await connect(fake, { role: ROLE }, {}, { now: () => now });
    await provider.validate();
    now += 50 * 60_000;
    await provider.validate();
    expect(fake.calls.length).toBe(1);
    now += 6 * 60_000;
    fake.between = () => ({ status: 503, code: 'ServiceUnavailable' });
    expect(await provider.validate()).toBe('ready');
    now += 4 * 60_000;
    expect(await said(provider.validate())).toMatchObject({ code: 'provider.read' });
    fake.between = undefined;
    expect(await provider.validate()).toBe('ready');
  });

  test('a role that does not trust the store is a login that failed', async () => {
    const fake = await started();
    fake.between = () => ({ status: 403, code: 'AccessDenied' });
    const error = await said((await connect(fake, { role: ROLE })).validate());
    expect(error).toMatchObject({ code: 'provider.login' });
    expect((error as { hint?: string }).hint).toContain(`trust policy of ${ROLE}`);
  });

  test('a wrong secret key is not let in, and appears nowhere', async () => {
    const fake = await started();
    const asked = connect(
      fake,
      {},
      { secretKey: async ({ key }) => utf8(key === 'id' ? 'AKIAROOT' : 'canary') },
    );
    const error = await said((await asked).get({ key: 'app' }));
    expect(error).toMatchObject({ code: 'provider.login' });
    expect(JSON.stringify(error) + error.message).not.toContain('canary');
  });

  test('a store without keys gets the operator’s own only where the operator lends them', async () => {
    const fake = await started();
    expect(await said(connect(fake, { auth: {} }))).toMatchObject({ code: 'provider.unsupported' });
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAROOT');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'rootSecret');
    vi.stubEnv('AWS_SESSION_TOKEN', undefined);
    vi.stubEnv('AWS_PROFILE', undefined);
    try {
      expect(await said(connect(fake, { auth: {} }))).toMatchObject({ code: 'provider.unsupported' });
      const lent = await connect(fake, { auth: {} }, {}, { lendOwnKeys: true });
      expect(await lent.get({ key: 'none' })).toBeUndefined();
      expect(fake.calls.map(({ accessKey }) => accessKey)).toEqual(['AKIAROOT']);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe('where it may lead', () => {
  test('an address that the operator does not allow is not asked', async () => {
    const fake = await started();
    const provider = await connect(fake, {}, { wayOut: NO_WAY_OUT });
    expect(await said(provider.get({ key: 'app' }))).toMatchObject({ code: 'dial.refused' });
    expect(fake.calls).toEqual([]);
  });

  test.each(['evil.example.com', 'eu-west-1/x', 'eu-west-1@evil', '', 'EU-WEST-1', 'a-b.c'])(
    'a region %j, which would be another host, is refused',
    (region) => {
      expect(awsSpec.safeParse({ service: 'SecretsManager', region }).success).toBe(false);
    },
  );

  test('each partition has hosts of its own, and the operator’s variables go before them', () => {
    expect(endpointOf('secretsmanager', 'eu-west-1')).toBe('https://secretsmanager.eu-west-1.amazonaws.com');
    expect(endpointOf('ssm', 'cn-north-1')).toBe('https://ssm.cn-north-1.amazonaws.com.cn');
    expect(endpointOf('sts', 'us-gov-west-1')).toBe('https://sts.us-gov-west-1.amazonaws.com');
    const from = endpointFrom({ AWS_STS_ENDPOINT: 'http://sts', AWS_SSM_ENDPOINT: '' });
    expect([from('sts'), from('ssm'), from('secretsmanager')]).toEqual(['http://sts', undefined, undefined]);
  });

  test.each([
    [{ recoveryWindowInDays: 5 }, /between 7 and 30/],
    [{ recoveryWindowInDays: 7, forceDeleteWithoutRecovery: true }, /conflicts/],
  ])('a deletion as %j is refused when the store is read', (secretsManager, words) => {
    const read = awsSpec.safeParse({ service: 'SecretsManager', region: 'eu-west-1', secretsManager });
    expect(read.error?.message).toMatch(words);
  });
});
