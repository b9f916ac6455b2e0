import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Planned } from '../client/client.ts';
import { type ConnectionFlags, connect } from './settings.ts';
import type { Terminal } from './terminal.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-settings-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function terminalOf(env: Readonly<Record<string, string>>): Terminal {
  const none = async (): Promise<never> => {
    throw new Error('not asked for here');
  };
  return {
    env,
    out: () => {},
    err: () => {},
    stdin: none,
    secret: none,
    readFile: none,
    tokenFile: { read: async () => 'hvs.kept', write: none },
  };
}

/** The request that a client made of these settings would send. */
async function planned(env: Readonly<Record<string, string>>, flags: ConnectionFlags = {}): Promise<Planned> {
  let seen: Planned | undefined;
  const client = (await connect(terminalOf(env), flags)).with({
    rehearse: (planned) => {
      seen = planned;
      throw new Error('rehearsed');
    },
  });
  await client.request('GET', 'sys/health').catch(() => undefined);
  if (seen === undefined) throw new Error('nothing was rehearsed');
  return seen;
}

describe('a request goes out', () => {
  test('with the token of the environment, else with the one that login kept', async () => {
    expect((await planned({ BAO_TOKEN: 'hvs.env' })).headers['x-vault-token']).toBe('hvs.env');
    expect((await planned({})).headers['x-vault-token']).toBe('hvs.kept');
  });

  test('to an agent where one is named', async () => {
    const env = { VAULT_ADDR: 'http://server:1', VAULT_AGENT_ADDR: 'http://agent:2' };
    expect((await planned(env)).url).toBe('http://agent:2/v1/sys/health');
    expect((await planned(env, { agentAddress: 'http://other:3' })).url).toBe('http://other:3/v1/sys/health');
  });

  test('with what flags and the environment add to its headers', async () => {
    const flags = { ns: 'team', mfa: ['one:1', 'two:2'], policyOverride: true, header: ['X-A = b=c'] };
    expect((await planned({ VAULT_WRAP_TTL: '5m' }, flags)).headers).toMatchObject({
      'x-vault-namespace': 'team',
      'x-vault-mfa': 'one:1, two:2',
      'x-vault-policy-override': 'true',
      'x-vault-wrap-ttl': '5m',
      'X-A': 'b=c',
    });
  });

  test.each(['bad', '=x', 'a b=c', 'x=1\r\nx-vault-token: hvs.other'])(
    'never with the header %j',
    async (header) => {
      await expect(connect(terminalOf({}), { header: [header] })).rejects.toMatchObject({
        code: 'cli.usage',
      });
    },
  );
});

describe('the authorities of a folder', () => {
  const PEM = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n';
  const caOf = async (env: Readonly<Record<string, string>>): Promise<unknown> =>
    (await connect(terminalOf({ VAULT_ADDR: 'https://server', ...env }), {})).connection.socket.ca;

  test('are all its certificates, whatever else lies there', async () => {
    await writeFile(join(folder, 'b.pem'), PEM);
    await writeFile(join(folder, 'a.pem'), PEM);
    await writeFile(join(folder, 'README'), 'about');
    expect(await caOf({ VAULT_CAPATH: folder })).toBe(`${PEM}\n${PEM}`);
  });

  test('give way to a file that is named too', async () => {
    const file = join(folder, 'one.pem');
    await writeFile(file, PEM);
    expect(await caOf({ VAULT_CAPATH: '/nonexistent', VAULT_CACERT: file })).toBe(PEM);
  });

  test('are missed where the folder has none: the public ones must not stand in for them', async () => {
    await expect(caOf({ VAULT_CAPATH: folder })).rejects.toMatchObject({ code: 'cli.usage' });
    await expect(caOf({ VAULT_CAPATH: join(folder, 'none') })).rejects.toMatchObject({
      code: 'cli.unreadable',
    });
  });
});

test('a number of tries that is none is refused', async () => {
  await expect(connect(terminalOf({ VAULT_MAX_RETRIES: 'many' }), {})).rejects.toMatchObject({
    code: 'cli.usage',
    message: expect.stringContaining('MAX_RETRIES'),
  });
});
