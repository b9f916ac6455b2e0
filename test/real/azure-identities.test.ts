/** As whom a key vault that is not ours is asked; azure-provider.test.ts says how one is named, and what each case needs. */

import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import type { ProviderEnv } from '../../src/provider/provider.ts';
import { entry, findings, said, textAt } from '../../src/provider/testing.ts';
import { connect, describeVault, given, named, plant, principal, secretKey, testIf } from './azure-vault.ts';

describeVault('as whom a vault that is not ours is asked', 'test/real/azure-identities', () => {
  const key = named('who');
  beforeAll(async () => {
    await plant(key, 'x');
  });

  /** One read under this store, and the store closed again. */
  const readBy = async (...store: Parameters<typeof connect>): Promise<string | undefined> => {
    const provider = await connect(...store);
    try {
      expect(await provider.validate()).toBe('ready');
      return await textAt(provider, key);
    } finally {
      await provider.close();
    }
  };

  test('a wrong secret is told by Entra ID’s code and what to do, and appears nowhere', async () => {
    const values: Record<string, string> = { CLIENT: given('CLIENT'), SECRET: 'canary-secret' };
    const error = await said(
      readBy(principal(), { secretKey: async ({ key: at }) => utf8(values[at] ?? '') }),
    );
    expect(error).toMatchObject({ code: 'provider.login', message: expect.stringMatching(/AADSTS7000215/) });
    expect(error.hint).toMatch(/take its value, not its id/);
    expect(JSON.stringify(error) + String(error)).not.toContain('canary');
  });

  test('an application that there is not is told by Entra ID’s code, and where it is named', async () => {
    const values: Record<string, string> = {
      CLIENT: '99999999-9999-4999-8999-999999999999',
      SECRET: 'canary-secret',
    };
    const error = await said(
      readBy(principal(), { secretKey: async ({ key: at }) => utf8(values[at] ?? '') }),
    );
    expect(error).toMatchObject({
      code: 'provider.login',
      message: expect.stringMatching(/AADSTS7000(16|38)/),
    });
    expect(error.hint).toMatch(/check clientId/);
  });

  testIf('CERTIFICATE')('a certificate signs who the application is', async () => {
    const authSecretRef = { clientId: secretKey('CLIENT'), clientCertificate: secretKey('CERTIFICATE') };
    const env: Partial<ProviderEnv> = {
      secretKey: async ({ key: at }) => (at === 'CERTIFICATE' ? readFileSync(given(at)) : utf8(given(at))),
    };
    expect(await readBy({ ...principal(), authSecretRef }, env)).toBe('x');
  });

  testIf('ACCOUNT')('a service account that the application trusts is believed by its token', async () => {
    const spec = { authType: 'WorkloadIdentity', serviceAccountRef: { name: 'app' } };
    const env: Partial<ProviderEnv> = {
      serviceAccountAnnotations: async () => ({
        'azure.workload.identity/client-id': given('CLIENT'),
        'azure.workload.identity/tenant-id': given('TENANT'),
      }),
      serviceAccountToken: async () => readFileSync(given('ACCOUNT'), 'utf8').trim(),
    };
    expect(await readBy(spec, env)).toBe('x');
    const forged = { ...env, serviceAccountToken: async () => forgedToken(given('ACCOUNT')) };
    const error = await said(readBy(spec, forged));
    expect(error).toMatchObject({ code: 'provider.login', message: expect.stringMatching(/AADSTS\d+/) });
  });

  testIf('MACHINE')('the operator’s own identity reads where it is lent', async () => {
    const authType = given('MACHINE') === 'workload' ? 'WorkloadIdentity' : 'ManagedIdentity';
    expect(await readBy({ authType }, {}, true)).toBe('x');
  });

  testIf('STRANGER_CLIENT', 'STRANGER_SECRET')(
    'who may do nothing is told what to be granted, and gets neither value nor list',
    async () => {
      const provider = await connect({
        ...principal(),
        authSecretRef: { clientId: secretKey('STRANGER_CLIENT'), clientSecret: secretKey('STRANGER_SECRET') },
      });
      expect(await provider.validate()).toBe('ready');
      const read = await said(provider.get({ key }));
      expect(read).toMatchObject({ code: 'provider.denied', hint: expect.stringContaining('secrets/get') });
      const search = await said(findings(provider, { name: '.' }));
      expect(search).toMatchObject({
        code: 'provider.denied',
        hint: expect.stringContaining('secrets/list'),
      });
      const pushed = provider.put?.({ key: named('none') }, entry('x'), { owner: 'us' });
      expect(await said(pushed)).toMatchObject({ code: 'provider.denied' });
      await provider.close();
    },
  );
});

/** The same claims under a signature that is none. */
function forgedToken(file: string): string {
  const [head, claims, signature = ''] = readFileSync(file, 'utf8').trim().split('.');
  return `${head}.${claims}.${signature.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A'))}`;
}
