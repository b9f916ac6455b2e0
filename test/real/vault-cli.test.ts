/** The command line that Vault's users have, unmodified, against our server: `vault` or `bao`, whichever is on the PATH. */

import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestPlatform, type TestPlatform } from '../support/platform.ts';

const binary = ['vault', 'bao'].find((name) => {
  try {
    execFileSync(name, ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});
if (binary === undefined)
  console.warn('SKIPPED test/real/vault-cli: neither `vault` nor `bao` is on the PATH');

describe.skipIf(binary === undefined)(`${binary ?? 'vault'}, unmodified`, () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startTestPlatform();
  });

  afterAll(() => platform.stop());

  const run = (...args: string[]): string => {
    const { VAULT_ADDR = '', VAULT_TOKEN = '' } = platform.env;
    const env = { ...platform.env, BAO_ADDR: VAULT_ADDR, BAO_TOKEN: VAULT_TOKEN };
    return execFileSync(binary ?? '', args, { env, encoding: 'utf8' });
  };

  test('tells the status', () => {
    expect(run('status')).toMatch(/Sealed\s+false/);
  });

  test('writes, patches, reads, lists, deletes and brings back a secret', () => {
    run('kv', 'put', 'secret/app/one', 'user=ada', 'password=s3cret');
    run('kv', 'patch', 'secret/app/one', 'password=changed');
    expect(run('kv', 'get', '-field=password', 'secret/app/one').trim()).toBe('changed');
    expect(run('kv', 'get', '-field=user', 'secret/app/one').trim()).toBe('ada');
    expect(run('kv', 'list', 'secret/app')).toContain('one');
    run('kv', 'delete', 'secret/app/one');
    expect(() => run('kv', 'get', '-field=user', 'secret/app/one')).toThrow();
    run('kv', 'undelete', '-versions=2', 'secret/app/one');
    expect(run('kv', 'get', '-field=user', 'secret/app/one').trim()).toBe('ada');
    expect(run('kv', 'metadata', 'get', 'secret/app/one')).toContain('current_version');
  });

  test('enables, lists and disables an engine', () => {
    run('secrets', 'enable', '-path=other', '-version=1', 'kv');
    expect(run('secrets', 'list')).toContain('other/');
    run('kv', 'put', 'other/x', 'a=b');
    expect(run('kv', 'get', '-field=a', 'other/x').trim()).toBe('b');
    run('secrets', 'disable', 'other');
  });

  test('makes, looks up, renews and revokes a token, and a policy', () => {
    const folder = platform.folder;
    execFileSync('sh', [
      '-c',
      `printf 'path "secret/data/app/*" { capabilities = ["read"] }' > ${folder}/p.hcl`,
    ]);
    run('policy', 'write', 'reader', `${folder}/p.hcl`);
    expect(run('policy', 'read', 'reader')).toContain('secret/data/app/*');
    const token = run('token', 'create', '-policy=reader', '-ttl=1h', '-field=token').trim();
    expect(run('token', 'lookup', token)).toContain('reader');
    expect(run('token', 'capabilities', token, 'secret/data/app/one').trim()).toBe('read');
    run('token', 'renew', token);
    run('token', 'revoke', token);
    expect(() => run('token', 'lookup', token)).toThrow();
  });

  test('wraps and unwraps', () => {
    run('kv', 'put', 'secret/wrapped', 'a=b');
    const wrapping = run('kv', 'get', '-wrap-ttl=60s', '-field=wrapping_token', 'secret/wrapped').trim();
    expect(run('unwrap', '-format=json', wrapping)).toContain('"a": "b"');
    expect(() => run('unwrap', wrapping)).toThrow();
  });
});
