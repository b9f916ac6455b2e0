/**
 * The AWS provider against moto, an AWS that is not ours, under keys of a Secret and under a service account's token. moto
 * checks signatures where it is told to, as it is for who logs in to Vault; the others are recomputed in the provider's own test.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { IAM } from '@aws-sdk/client-iam';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { extract } from '../../src/provider/property.ts';
import type { Provider, ProviderEnv, Value } from '../../src/provider/provider.ts';
import { findings, meta, object, testEnv, textAt } from '../../src/provider/testing.ts';
import { createAwsProvider } from '../../src/providers/aws/aws.ts';
import { createAwsCallers, type SignedRequest } from '../../src/providers/aws/caller.ts';
import { awsSpec } from '../../src/providers/aws/spec.ts';
import { createDial } from '../../src/server/http/dial.ts';
import { freePort } from '../support/ports.ts';

/** HOLDFAST_MOTO, the PATH, or the folder into which the test of the engine installs it. */
function findMoto(): string | undefined {
  const named = process.env['HOLDFAST_MOTO'];
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const places = [...folders, join(tmpdir(), 'holdfast-moto', 'bin')].map((folder) =>
    join(folder, 'moto_server'),
  );
  return (named === undefined ? places : [named]).find((path) => existsSync(path));
}

const moto = findMoto();
if (moto === undefined)
  console.warn('SKIPPED test/real/aws-provider: no moto_server on the PATH, and HOLDFAST_MOTO names none');

const KEYS = {
  secretRef: {
    accessKeyIDSecretRef: { name: 'keys', key: 'id' },
    secretAccessKeySecretRef: { name: 'keys', key: 'secret' },
  },
};
const TRUST = '{"Version":"2012-10-17","Statement":[]}';

describe.skipIf(moto === undefined)('the AWS provider on moto', () => {
  let child: ChildProcess;
  let url: string;
  let role: string;
  const open: Provider[] = [];

  const connect = async (spec: object, env: Partial<ProviderEnv> = {}): Promise<Provider> => {
    const read = awsSpec.parse({ region: 'eu-west-1', auth: KEYS, ...spec });
    const provider = await createAwsProvider({ endpoint: () => url }).connect(
      read,
      testEnv({
        secretKey: async ({ key }) => utf8(`AKIA${key}`),
        wayOut: {
          dial: createDial({ target: (host, port) => ({ host, port }), allow: () => true }),
          mayReach: () => false,
          mayReachCluster: () => false,
        },
        ...env,
      }),
    );
    open.push(provider);
    return provider;
  };

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    child = spawn(moto ?? '', ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
    for (const end = Date.now() + 60_000; ; ) {
      if (
        await fetch(`${url}/moto-api/`).then(
          () => true,
          () => false,
        )
      )
        break;
      if (Date.now() > end) throw new Error('moto does not answer');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const credentials = { accessKeyId: 'AKIAADMIN', secretAccessKey: 'x' };
    const iam = new IAM({ endpoint: url, region: 'us-east-1', credentials });
    const { Role } = await iam.createRole({ RoleName: 'app', AssumeRolePolicyDocument: TRUST });
    role = Role?.Arn ?? '';
  }, 90_000);
  afterAll(async () => {
    for (const provider of open) await provider.close();
    child?.kill('SIGKILL');
  });

  test.each(['SecretsManager', 'ParameterStore'])(
    '%s: a push is read, found, left alone by others, updated, and taken away',
    async (service) => {
      const provider = await connect({
        service,
        secretsManager: { forceDeleteWithoutRecovery: true },
      });
      const isStore = service === 'ParameterStore';
      const spec = { tags: { env: 'prod' }, ...(isStore ? { encodeAsDecoded: true } : {}) };
      const metadata = meta(spec);
      const key = `/life/${service}`;
      const us = { owner: 'us', metadata };
      expect(await provider.validate()).toBe('ready');
      expect(await provider.get({ key })).toBeUndefined();
      expect(await provider.metadata?.({ key })).toBeUndefined();
      expect(await provider.put?.({ key }, object({ a: '1' }), us)).toBe('written');
      expect(await provider.put?.({ key }, object({ a: '1' }), us)).toBe('unchanged');
      expect(await textAt(provider, key, 'a')).toBe('1');
      expect(await provider.metadata?.({ key })).toMatchObject({
        env: 'prod',
        'managed-by': 'external-secrets',
      });
      expect(await findings(provider, { path: '/life', name: service })).toEqual([key]);
      expect(await findings(provider, { tags: { env: 'prod' }, name: service })).toEqual([key]);
      expect(await findings(provider, { tags: { env: 'pro' } })).toEqual([]);
      await expect(provider.put?.({ key }, object({ a: '2' }), { owner: 'them' })).rejects.toMatchObject({
        code: 'provider.foreign',
      });
      expect(await provider.put?.({ key }, object({ b: '2' }), us)).toBe('written');
      const read = await provider.get({ key });
      expect([...extract(read?.value as Value, '', key).keys()]).toEqual(['b']);
      const old = isStore ? '1' : 'AWSPREVIOUS';
      expect(await textAt(provider, key, 'a', old)).toBe('1');
      expect(await provider.delete?.({ key }, { owner: 'them' })).toBe('foreign');
      expect(await provider.delete?.({ key }, { owner: 'us' })).toBe('deleted');
      expect(await provider.get({ key })).toBeUndefined();
      expect(await provider.delete?.({ key }, { owner: 'us' })).toBe('absent');
    },
    60_000,
  );

  test('what is marked for deletion is absent, and restored by the next push', async () => {
    const provider = await connect({ service: 'SecretsManager' });
    await provider.put?.({ key: 'back' }, { bytes: utf8('1') }, { owner: 'us' });
    expect(await provider.delete?.({ key: 'back' }, { owner: 'us' })).toBe('deleted');
    expect(await provider.get({ key: 'back' })).toBeUndefined();
    await provider.put?.({ key: 'back' }, { bytes: utf8('2') }, { owner: 'us' });
    expect(await textAt(provider, 'back')).toBe('2');
  });

  test('bytes that are no text come back as they were pushed', async () => {
    const provider = await connect({ service: 'SecretsManager' });
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await provider.put?.({ key: 'bin' }, { bytes }, { owner: 'us' });
    const read = (await provider.get({ key: 'bin' }))?.value;
    expect(read).toEqual({ bytes });
  });

  test('a search goes through all pages', async () => {
    const provider = await connect({ service: 'SecretsManager' });
    const store = await connect({ service: 'ParameterStore' });
    const names = Array.from({ length: 65 }, (_, i) => `/many/${String(i).padStart(2, '0')}`);
    for (const key of names) {
      await provider.put?.({ key }, { bytes: utf8(key) }, { owner: 'us' });
      await store.put?.({ key }, { bytes: utf8(key) }, { owner: 'us' });
    }
    expect((await findings(provider, { name: '^/many/' })).sort()).toEqual(names);
    expect((await findings(store, { path: '/many', name: '.' })).sort()).toEqual(names);
  }, 60_000);

  test('a service account’s token gets a session of its role, and from there the next role’s', async () => {
    const provider = await connect(
      {
        service: 'SecretsManager',
        auth: { jwt: { serviceAccountRef: { name: 'app' } } },
        role,
        sessionTags: [{ key: 'team', value: 'x' }],
        externalID: 'ext',
      },
      {
        serviceAccountAnnotations: async () => ({ 'eks.amazonaws.com/role-arn': role }),
        serviceAccountToken: async () => 'e30.e30.e30',
      },
    );
    expect(await provider.validate()).toBe('ready');
    await provider.put?.({ key: 'irsa' }, { bytes: utf8('1') }, { owner: 'us' });
    expect(await textAt(provider, 'irsa')).toBe('1');
  });

  test('a request that Vault is shown is answered with who signed it, and changed by a letter it is refused', async () => {
    const iam = new IAM({
      endpoint: url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'AKIAADMIN', secretAccessKey: 'x' },
    });
    await iam.createUser({ UserName: 'eso' });
    const { AccessKey } = await iam.createAccessKey({ UserName: 'eso' });
    const keys = { id: AccessKey?.AccessKeyId ?? '', secret: AccessKey?.SecretAccessKey ?? '' };
    const sign = (region: string) =>
      createAwsCallers()(
        {
          region,
          auth: KEYS,
          role: '',
          headers: { 'x-vault-aws-iam-server-id': 'vault.example.com' },
          webSession: '',
          field: 'auth.iam',
        },
        testEnv({ secretKey: async ({ key }) => utf8(keys[key as keyof typeof keys]) }),
      );
    await checkSignatures(url, '0');
    try {
      for (const region of ['us-east-1', 'eu-west-1']) {
        const signed = await sign(region);
        const answer = await replayed(url, signed);
        expect(answer).toMatch(/^200 .*<Arn>arn:aws[\w-]*:iam::\d+:user\/eso<\/Arn>/s);
        const other = { ...signed.headers, 'x-vault-aws-iam-server-id': 'vault.example.con' };
        expect(await replayed(url, { ...signed, headers: other })).toMatch(/^403 .*SignatureDoesNotMatch/s);
      }
    } finally {
      await checkSignatures(url, 'inf');
    }
  });
});

/** From the how-manieth request on moto verifies who signed it. */
const checkSignatures = (url: string, count: string) =>
  fetch(`${url}/moto-api/reset-auth`, { method: 'POST', body: count });

/** Sends a signed request to another address than it was made for, as a server does; gives status and answer. */
const replayed = (url: string, { url: signedFor, method, headers, body }: SignedRequest) =>
  new Promise<string>((resolve, reject) => {
    const { host, pathname } = new URL(signedFor);
    const asked = httpRequest(`${url}${pathname}`, { method, headers: { ...headers, host } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve(`${response.statusCode} ${Buffer.concat(chunks).toString()}`));
    });
    asked.on('error', reject).end(body);
  });
