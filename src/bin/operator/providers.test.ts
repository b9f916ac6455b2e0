import { afterAll, beforeAll, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { NO_WAY_OUT } from '../../provider/egress.ts';
import { said, testEnv } from '../../provider/testing.ts';
import { startFakeGoogle } from '../../providers/gcp/testing.ts';
import { type LoginDouble, startLogins } from '../../providers/vault/testing.ts';
import { generators } from './generators.ts';
import { type ProviderOptions, providers } from './providers.ts';

const secretRef = {
  accessKeyIDSecretRef: { name: 'keys', key: 'id' },
  secretAccessKeySecretRef: { name: 'keys', key: 'secret' },
};
const LOGINS = [
  ['iam', { vaultRole: 'app', secretRef }, ['iam_request_headers', 'role']],
  [
    'gcp',
    { role: 'app', secretRef: { secretAccessKeySecretRef: { name: 'g', key: 'json' } } },
    ['jwt', 'role'],
  ],
] as const;

let vault: LoginDouble;
let googleKey = '';
beforeAll(async () => {
  vault = await startLogins(() => undefined);
  const google = await startFakeGoogle();
  googleKey = google.key();
  await google.close();
});
afterAll(() => vault.close());

const env = testEnv({
  wayOut: { ...NO_WAY_OUT, mayReach: () => true },
  secretKey: async ({ name }) => utf8(name === 'g' ? googleKey : 'AKIAROOT'),
});
const ofVault = (options: ProviderOptions) => {
  const found = providers(options).find(({ name }) => name === 'vault');
  return async (auth: object) => {
    const provider = await found?.connect(found.spec.parse({ server: vault.url, auth }), env);
    return await provider?.validate().finally(() => provider.close());
  };
};

test.each(LOGINS)('the operator’s stores log in to Vault by auth.%s', async (name, given, sent) => {
  expect(await ofVault({ env: {} })({ [name]: given })).toBe('ready');
  expect(vault.shown.at(-1)?.body).toMatchObject(
    Object.fromEntries(sent.map((key) => [key, expect.any(String)])),
  );
});

test.each(LOGINS)('the operator’s generators log in to Vault by auth.%s', async (name, given) => {
  const found = generators({ env: {} }).find(({ kind }) => kind === 'VaultDynamicSecret');
  const spec = found?.spec.parse({ path: 'x/y', provider: { server: vault.url, auth: { [name]: given } } });
  const before = vault.shown.length;
  const kept: Uint8Array[] = [];
  const reserved = {
    state: {},
    update: async () => {},
    secret: async () => undefined,
    keepSecret: async (bytes: Uint8Array) => void kept.push(bytes),
  };
  // What it asks for then, this server has not.
  await said(Promise.resolve(found?.generate(spec, env, async () => reserved)));
  expect([vault.shown.length - before, kept.length]).toEqual([1, 1]);
});

test.each(['iam', 'gcp'])(
  'an operator that lends nothing lends nothing to a store by auth.%s',
  async (name) => {
    const run = ofVault({ env: {} })({ [name]: name === 'iam' ? { vaultRole: 'app' } : { role: 'app' } });
    expect((await said(run)).code).toBe('provider.unsupported');
  },
);
