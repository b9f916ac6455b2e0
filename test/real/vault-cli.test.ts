/** The command line that Vault's users have, unmodified, against our server: `vault` or `bao`, whichever is on the PATH. */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recordClient } from '../support/compatibility.ts';
import { startTestPlatform, type TestPlatform } from '../support/platform.ts';

const folders = (process.env['PATH'] ?? '').split(delimiter);
const binary = ['vault', 'bao'].find((name) => folders.some((folder) => existsSync(join(folder, name))));
if (binary === undefined)
  console.warn('SKIPPED test/real/vault-cli: neither `vault` nor `bao` is on the PATH');

const version =
  binary === undefined ? '' : (await promisify(execFile)(binary, ['version'])).stdout.match(/v\d[^ ,]*/)?.[0];

describe.skipIf(binary === undefined)(`${binary ?? 'vault'}, unmodified`, () => {
  const recording = recordClient({ client: binary ?? 'vault', version: version ?? 'unknown' });
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startTestPlatform();
  });

  afterAll(() => platform.stop());

  // Never the synchronous kind: the server that is asked runs in this very process.
  const run = async (...args: string[]): Promise<string> => {
    const { VAULT_ADDR = '', VAULT_TOKEN = '' } = platform.env;
    const env = { ...platform.env, BAO_ADDR: VAULT_ADDR, BAO_TOKEN: VAULT_TOKEN };
    const { stdout } = await promisify(execFile)(binary ?? '', args, { env });
    recording.note(commandOf(args));
    return stdout;
  };

  test('tells the status', async () => {
    expect(await run('status')).toMatch(/Sealed\s+false/);
  });

  test('writes, patches, reads, lists, deletes and brings back a secret', async () => {
    await run('kv', 'put', 'secret/app/one', 'user=ada', 'password=s3cret');
    await run('kv', 'patch', 'secret/app/one', 'password=changed');
    expect((await run('kv', 'get', '-field=password', 'secret/app/one')).trim()).toBe('changed');
    expect((await run('kv', 'get', '-field=user', 'secret/app/one')).trim()).toBe('ada');
    expect(await run('kv', 'list', 'secret/app')).toContain('one');
    await run('kv', 'delete', 'secret/app/one');
    await expect(run('kv', 'get', '-field=user', 'secret/app/one')).rejects.toThrow();
    await run('kv', 'undelete', '-versions=2', 'secret/app/one');
    expect((await run('kv', 'get', '-field=user', 'secret/app/one')).trim()).toBe('ada');
    expect(await run('kv', 'metadata', 'get', 'secret/app/one')).toContain('current_version');
  });

  test('enables, lists and disables an engine', async () => {
    await run('secrets', 'enable', '-path=other', '-version=1', 'kv');
    expect(await run('secrets', 'list')).toContain('other/');
    await run('kv', 'put', 'other/x', 'a=b');
    expect((await run('kv', 'get', '-field=a', 'other/x')).trim()).toBe('b');
    await run('secrets', 'disable', 'other');
  });

  test('makes, looks up, renews and revokes a token, and a policy', async () => {
    const { folder } = platform;
    await writeFile(join(folder, 'p.hcl'), 'path "secret/data/app/*" { capabilities = ["read"] }');
    await run('policy', 'write', 'reader', `${folder}/p.hcl`);
    expect(await run('policy', 'read', 'reader')).toContain('secret/data/app/*');
    const token = (await run('token', 'create', '-policy=reader', '-ttl=1h', '-field=token')).trim();
    expect(await run('token', 'lookup', token)).toContain('reader');
    expect((await run('token', 'capabilities', token, 'secret/data/app/one')).trim()).toBe('read');
    await run('token', 'renew', token);
    await run('token', 'revoke', token);
    await expect(run('token', 'lookup', token)).rejects.toThrow();
  });

  test('wraps and unwraps', async () => {
    await run('kv', 'put', 'secret/wrapped', 'a=b');
    const wrapping = (
      await run('read', '-wrap-ttl=60s', '-field=wrapping_token', 'secret/data/wrapped')
    ).trim();
    expect(await run('unwrap', '-format=json', wrapping)).toContain('"a": "b"');
    await expect(run('unwrap', wrapping)).rejects.toThrow();
  });
});

/** The words of the command, without flags and what they are about. */
const commandOf = ([group = '', ...rest]: readonly string[]): string =>
  ['kv', 'secrets', 'token', 'policy'].includes(group)
    ? [group, ...rest.slice(0, rest[0] === 'metadata' ? 2 : 1)].join(' ')
    : group;
