import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestPlatform, type TestPlatform } from '../../test/support/platform.ts';
import type { Planned } from '../client/client.ts';
import { curlFor, needsSudo, policyFor } from './rehearsal.ts';

const NO_FILES = {
  caCert: undefined,
  caPath: undefined,
  clientCert: undefined,
  clientKey: undefined,
  skipVerify: false,
};

const planned = (more: Partial<Planned> = {}): Planned => ({
  method: 'GET',
  listing: false,
  path: 'secret/data/app',
  url: 'http://127.0.0.1:8200/v1/secret/data/app',
  headers: { accept: 'application/json', 'x-vault-token': 'hvs.secret' },
  body: undefined,
  ...more,
});

describe('a request told as a curl command', () => {
  test('asks for the token where it is run, and never holds it', () => {
    const told = curlFor(planned(), NO_FILES);
    expect(told).toBe(
      'curl -H "X-Vault-Token: $(holdfast print token)" "http://127.0.0.1:8200/v1/secret/data/app"',
    );
  });

  test('hands a shell nothing that it would run', () => {
    const told = curlFor(
      planned({
        method: 'POST',
        url: "http://h/v1/a$(id)'`x`",
        headers: { 'x-a': '$(id) `x` "y"' },
        body: Buffer.from(`{"a":"it's $(id)"}`),
      }),
      { ...NO_FILES, caCert: "/tmp/o'neil.pem", skipVerify: true },
    );
    expect(told).toBe(
      `curl --insecure -X POST --cacert '/tmp/o'"'"'neil.pem' -H 'X-A: $(id) \`x\` "y"'` +
        ` -d '{"a":"it'"'"'s $(id)"}' 'http://h/v1/a$(id)'"'"'\`x\`'`,
    );
  });
});

test.each([
  [{ method: 'PUT' }, '"create", "update"'],
  [{ method: 'PATCH' }, '"patch"'],
  [{ method: 'DELETE' }, '"delete"'],
  [{ listing: true }, '"list"'],
  [{ method: 'PUT', path: 'sys/rotate' }, '"create", "update", "sudo"'],
] as const)('the policy for %j names the capabilities %s', (more, capabilities) => {
  expect(policyFor(planned(more))).toContain(`capabilities = [${capabilities}]`);
});

describe('what needs sudo', () => {
  let platform: TestPlatform;
  beforeAll(async () => {
    platform = await startTestPlatform();
  });
  afterAll(() => platform.stop());

  test('is what the server itself says: a new guarded path wants a row in GUARDED', async () => {
    const response = await fetch(`${platform.address}/v1/sys/internal/specs/openapi`, {
      headers: { 'x-vault-token': platform.keys.rootToken },
    });
    const { paths } = (await response.json()) as { paths: Record<string, { 'x-vault-sudo'?: boolean }> };
    const said = Object.entries(paths)
      .filter(([path]) => path.startsWith('/sys/') || path.startsWith('/auth/token/'))
      .map(
        ([path, item]) => [path.slice(1).replace(/\{[^}]*\}/g, 'x'), item['x-vault-sudo'] === true] as const,
      );
    expect(said.length).toBeGreaterThan(50);
    expect(said.filter(([path, sudo]) => needsSudo(path) !== sudo)).toEqual([]);
  });
});
