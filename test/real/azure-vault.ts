/**
 * A key vault that is not ours, Azure's own or an emulator's, for the tests beside this: where it is, stores over it, a way to
 * it that is not the provider's, and what was made there, taken away again.
 */

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { vaultScope } from '../../src/azure/clouds.ts';
import { textOf } from '../../src/base/bytes.ts';
import { isFailure } from '../../src/base/errors.ts';
import type { Dial } from '../../src/base/web.ts';
import { NO_WAY_OUT } from '../../src/provider/egress.ts';
import type { Provider, ProviderEnv } from '../../src/provider/provider.ts';
import { testEnv } from '../../src/provider/testing.ts';
import { createAzureProvider } from '../../src/providers/azure/azure.ts';
import { azureSpec } from '../../src/providers/azure/spec.ts';
import { createDial } from '../../src/server/http/dial.ts';
import { type Emulator, isEmulatorHere, startEmulator } from './azure-emulator.ts';

const variable = (name: string): string => process.env[`HOLDFAST_AZURE_${name}`] ?? '';
const isStartedHere = variable('VAULT') === '' && isEmulatorHere();
let emulator: Emulator | undefined;

/** A variable of the test, or what it would be for the emulator that was started, or ''. @param name without its beginning */
export const given = (name: string): string => emulator?.settings[name] ?? variable(name);

/** Those of these variables that are not set, by their whole names; none where an emulator is started here. */
const absent = (...names: string[]): string =>
  names
    .filter((name) => variable(name) === '' && !isStartedHere)
    .map((name) => `HOLDFAST_AZURE_${name}`)
    .join(', ');
const missing = absent('VAULT', 'TENANT', 'CLIENT', 'SECRET');

/** Tests on a vault, which is there while they run. @param file for the reason why they are skipped */
export function describeVault(title: string, file: string, tests: () => void): void {
  if (missing !== '')
    console.warn(`SKIPPED ${file}: ${missing} not set and no emulator on the PATH, so there is no vault`);
  describe.skipIf(missing !== '')(title, () => {
    beforeAll(async () => {
      if (isStartedHere) emulator = await startEmulator();
    }, 90_000);
    afterAll(async () => {
      await cleared();
      emulator?.stop();
    }, 60_000);
    tests();
  });
}

/** A test that wants more of the world than the others: these variables. */
export function testIf(...wanted: string[]) {
  const lacking = absent(...wanted);
  if (missing === '' && lacking !== '')
    console.warn(`SKIPPED in test/real/azure-identities: what wants ${lacking}`);
  return test.skipIf(lacking !== '');
}

/** What is deleted in a vault keeps its name for months: each run has names of its own. */
export const run = createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 8);
const names = new Set<string>();
export const named = (name: string): string => {
  const whole = `holdfast-${run}-${name}`;
  names.add(whole);
  return whole;
};

/** Where emulators put Azure's hosts. */
const resolve: ProviderEnv['resolve'] = (host, port) => {
  const isVault = host === new URL(given('VAULT')).hostname;
  const at = isVault || given('LOGIN') === '' ? given('AT') : given('LOGIN');
  const [, address = '', number = ''] = /^(.*):(\d+)$/.exec(at) ?? [];
  const ca = given('CA') === '' ? {} : { ca: readFileSync(given('CA'), 'utf8') };
  return address === '' ? { host, port } : { host: address, port: Number(number), ...ca };
};

const dial: Dial = (request) => {
  const { hostname, port } = new URL(request.url);
  const { ca } = resolve(hostname, Number(port) || 443);
  const send = createDial({ target: resolve, allow: () => true });
  return send({ ...request, ...(ca === undefined ? {} : { ca }) });
};

/** A key of the one Secret that the cluster of these tests has: a variable's name. */
export const secretKey = (key: string) => ({ name: 'azure', key });

/** A store's words for the application of the variables. */
export const principal = () => ({
  tenantId: given('TENANT'),
  authSecretRef: { clientId: secretKey('CLIENT'), clientSecret: secretKey('SECRET') },
});

/** A store over the vault. @param spec as whom it is asked */
export const connect = (
  spec: object = principal(),
  env: Partial<ProviderEnv> = {},
  lendOwnKeys = false,
): Promise<Provider> =>
  createAzureProvider({ lendOwnKeys }).connect(
    azureSpec.parse({ vaultUrl: given('VAULT'), ...spec }),
    clusterOf(env),
  );

/** A cluster whose Secrets all have one value for each key: that of the variable of that name. */
const clusterOf = (more: Partial<ProviderEnv> = {}): ProviderEnv =>
  testEnv({
    resolve,
    secretKey: async ({ key }) => Buffer.from(given(key)),
    wayOut: { ...NO_WAY_OUT, dial: createDial({ target: resolve, allow: () => true }) },
    ...more,
  });

/** A secret as the vault shows it. */
export interface Held {
  readonly id: string;
  readonly value: string;
  readonly contentType?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly attributes: { readonly enabled: boolean; readonly exp?: number };
}

let token: Promise<string> | undefined;

/** One request to the vault, around the provider. @throws Error for what the vault refuses, with its status and name */
export async function ask<T = Held>(method: string, path: string, body?: object): Promise<T> {
  token ??= login();
  const answer = await dial({
    url: `${new URL(given('VAULT')).origin}${path}?api-version=7.4`,
    method,
    headers: { authorization: `Bearer ${await token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const read = JSON.parse(textOf(answer.body) || '{}');
  if (answer.status < 300) return read;
  throw new Error(`the vault answers ${answer.status} ${read.error?.code} to ${method} ${path}`);
}

async function login(): Promise<string> {
  const answer = await dial({
    url: `https://login.microsoftonline.com/${given('TENANT')}/oauth2/v2.0/token`,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: given('CLIENT'),
      client_secret: given('SECRET'),
      scope: vaultScope(given('VAULT')),
    }).toString(),
  });
  return JSON.parse(textOf(answer.body) ?? '').access_token;
}

/** Makes a secret, or a version of one, as somebody else would. @returns its version */
export async function plant(
  name: string,
  value: string,
  {
    tags = {},
    ...attributes
  }: { tags?: Readonly<Record<string, string>>; enabled?: boolean; exp?: number } = {},
): Promise<string> {
  const { id } = await ask('PUT', `/secrets/${name}`, { value, tags, attributes });
  return id.split('/').at(-1) ?? '';
}

/** What a write comes to, once nothing that the vault still has to end is in its way. */
export async function atLast<T>(write: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await write();
    } catch (error) {
      if (!isFailure(error, 'provider.write') || tries === 60) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

/** Deletes the secrets of this run that are left. */
async function cleared(): Promise<void> {
  if (token === undefined) return;
  for (const name of names)
    await ask('DELETE', `/secrets/${name}`).catch(() => {
      // It is gone already, or was never made.
    });
}
