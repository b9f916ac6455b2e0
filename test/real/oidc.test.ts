/**
 * A login through a browser, whole: a real OpenID Connect provider (`oidc-provider`), a real browser (Chromium), the program
 * `holdfast login -method=oidc` as a process of its own, and a server with identity groups.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { REQUIRE } from '../support/bundle.ts';
import { recordClient, versionOf } from '../support/compatibility.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { freePort } from '../support/ports.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const chromiumPath = '/usr/bin/chromium';
const missing = [
  ...(existsSync(chromiumPath) ? [] : [`no ${chromiumPath}`]),
  ...(existsSync(join(root, 'node_modules/oidc-provider')) ? [] : ['oidc-provider is not installed']),
  ...(existsSync(join(root, 'node_modules/playwright-core')) ? [] : ['playwright-core is not installed']),
];
if (missing.length > 0) console.warn(`SKIPPED test/real/oidc: ${missing.join(', ')}`);

const CLIENT = { id: 'holdfast', secret: 'a client & its secret: 100%' };

describe.skipIf(missing.length > 0)('a login through the browser', () => {
  const recording = recordClient({
    client: 'oidc-provider',
    version: missing.length > 0 ? '' : versionOf('oidc-provider'),
  });
  let platform: TestPlatform;
  let provider: Server;
  let issuer: string;
  let browser: Browser;
  let bundle: string;
  /** Where the command listens; the provider knows it too. */
  let port: number;
  const running = new Set<ChildProcess>();

  beforeAll(async () => {
    platform = await startTestPlatform();
    port = await freePort();
    ({ provider, issuer } = await startProvider([
      `http://localhost:${port}/oidc/callback`,
      `${platform.address}/v1/auth/oidc/oidc/callback`,
    ]));
    const { chromium } = await import('playwright-core');
    browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox'] });
    bundle = await bundled();
    await ask('PUT', 'sys/policies/acl/reader', {
      policy: 'path "secret/data/team/*" { capabilities = ["read"] }',
    });
    await ask('PUT', 'sys/policies/acl/boss', {
      policy: 'path "secret/data/boss/*" { capabilities = ["read"] }',
    });
    await ask('POST', 'sys/auth/oidc', { type: 'oidc' });
    await ask('PUT', 'secret/data/team/one', { data: { a: 'for the team' } });
    await ask('PUT', 'secret/data/boss/one', { data: { a: 'for the boss' } });
  });

  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
    running.clear();
  });

  afterAll(async () => {
    await browser?.close();
    provider?.closeAllConnections();
    provider?.close();
    await platform?.stop();
    if (bundle !== undefined) await rm(join(bundle, '..'), { recursive: true, force: true });
  });

  async function ask(method: string, path: string, body?: object, token = platform.keys.rootToken) {
    const answer = await fetch(`${platform.address}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, json: text === '' ? undefined : JSON.parse(text) };
  }

  const configure = async (config: object = {}, role: object = {}): Promise<void> => {
    const configured = await ask('PUT', 'auth/oidc/config', {
      oidc_discovery_url: issuer,
      oidc_client_id: CLIENT.id,
      oidc_client_secret: CLIENT.secret,
      default_role: 'staff',
      ...config,
    });
    expect(configured).toEqual({ status: 204, json: undefined });
    const made = await ask('PUT', 'auth/oidc/role/staff', {
      user_claim: 'email',
      groups_claim: '/realm_access/roles',
      oidc_scopes: ['email', 'realm'],
      allowed_redirect_uris: ['http://localhost:8250/oidc/callback'],
      token_policies: ['reader'],
      ...role,
    });
    expect(made.status).toBe(204);
  };

  interface Login {
    readonly child: ChildProcess;
    output(): string;
    readonly ended: Promise<number | null>;
  }

  function startLogin(args: readonly string[], env: Readonly<Record<string, string>> = {}): Login {
    const child = spawn(process.execPath, [bundle, 'login', '-method=oidc', ...args], {
      env: { ...platform.env, VAULT_TOKEN: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8');
      });
    return {
      child,
      output: () => text,
      ended: new Promise((resolve) => child.once('close', (code) => resolve(code))),
    };
  }

  const linkOf = (login: Login): Promise<string> =>
    eventually('the link to the provider', () => /^ {4}(http\S+)$/m.exec(login.output())?.[1], 30_000);

  /** Logs in at the pages of the provider, and agrees. */
  async function consentAs(name: string, link: string): Promise<Page> {
    const page = await (await browser.newContext()).newPage();
    await page.goto(link);
    await page.fill('input[name=login]', name);
    await page.fill('input[name=password]', 'anything');
    await page.click('button[type=submit]');
    await page.click('button[type=submit]');
    return page;
  }

  const kept = (): Promise<string> => readFile(join(platform.folder, '.vault-token'), 'utf8');
  const reads = async (path: string, token: string): Promise<number> =>
    (await ask('GET', `secret/data/${path}`, undefined, token)).status;

  test('ends with a token of the role, and of the groups that the provider names', async () => {
    await configure();
    const { json } = await ask('GET', 'sys/auth/oidc');
    const group = await ask('POST', 'identity/group', {
      name: 'bosses',
      type: 'external',
      policies: ['boss'],
    });
    await ask('POST', 'identity/group-alias', {
      name: 'bosses',
      mount_accessor: json.data.accessor,
      canonical_id: group.json.data.id,
    });

    const login = startLogin([`port=${port}`, 'skip_browser=true']);
    const page = await consentAs('ada', await linkOf(login));
    await page.getByText('You are logged in').waitFor();
    expect(await login.ended).toBe(0);
    expect(login.output()).toContain('Success! You are now authenticated.');
    const token = await kept();
    const self = await ask('GET', 'auth/token/lookup-self', undefined, token);
    expect(self.json.data).toMatchObject({
      display_name: 'oidc-ada@example.org',
      policies: ['default', 'reader'],
      identity_policies: ['boss'],
      meta: { role: 'staff' },
    });
    expect(await reads('team/one', token)).toBe(200);
    expect(await reads('boss/one', token)).toBe(200);
    expect(await reads('other', token)).toBe(403);

    // Another person of the same role, who is in no such group.
    const second = startLogin([`port=${port}`, 'skip_browser=true', 'role=staff']);
    await (await consentAs('eve', await linkOf(second))).getByText('You are logged in').waitFor();
    expect(await second.ended).toBe(0);
    const lesser = await kept();
    expect(await reads('team/one', lesser)).toBe(200);
    expect(await reads('boss/one', lesser)).toBe(403);
    recording.note('discovery, keys and the authorization code, through headless Chromium');
    recording.note('groups of the provider as groups of the server');
  });

  test('opens the browser that the environment names', async () => {
    await configure();
    const script = join(platform.folder, 'browser.sh');
    await writeFile(script, `#!/bin/sh\nprintf %s "$1" > "${platform.folder}/opened"\n`);
    await chmod(script, 0o700);
    const login = startLogin([`port=${port}`], { BROWSER: script });
    const link = await linkOf(login);
    const opened = await eventually('the browser', () =>
      readFile(join(platform.folder, 'opened'), 'utf8')
        .then((text) => text || undefined)
        .catch(() => undefined),
    );
    expect(opened).toBe(link);
    expect(login.output()).toContain('Launching browser to:');
  });

  test('ends with what the provider says where the person does not agree', async () => {
    await configure();
    const login = startLogin([`port=${port}`, 'skip_browser=true']);
    const page = await (await browser.newContext()).newPage();
    await page.goto(await linkOf(login));
    await page.getByText('Cancel').click();
    await page.getByText('The login failed').waitFor();
    expect(await login.ended).toBe(2);
    expect(login.output()).toContain('Vault login failed. access_denied');
    recording.note('a refusal of consent');
  });

  test('leaves alone what comes with the state of another login', async () => {
    await configure();
    const login = startLogin([`port=${port}`, 'skip_browser=true']);
    const link = await linkOf(login);
    const forged = await fetch(`http://localhost:${port}/oidc/callback?state=forged&code=evil`);
    expect(forged.status).toBe(400);
    expect((await fetch(`http://localhost:${port}/elsewhere`)).status).toBe(404);
    await (await consentAs('ada', link)).getByText('You are logged in').waitFor();
    expect(await login.ended).toBe(0);
  });

  test('takes an answer that the provider posts', async () => {
    await configure({ oidc_response_mode: 'form_post' });
    const login = startLogin([`port=${port}`, 'skip_browser=true']);
    const link = await linkOf(login);
    expect(new URL(link).searchParams.get('response_mode')).toBe('form_post');
    await (await consentAs('ada', link)).getByText('You are logged in').waitFor();
    expect(await login.ended).toBe(0);
    expect(await reads('team/one', await kept())).toBe(200);
    recording.note('response_mode form_post');
  });

  test('may come back to the server, which asks the person, and which the command polls', async () => {
    await configure(
      {},
      {
        callback_mode: 'direct',
        poll_interval: 1,
        allowed_redirect_uris: [`${platform.address}/v1/auth/oidc/oidc/callback`],
      },
    );
    const login = startLogin(['callbackmode=direct', 'skip_browser=true']);
    const page = await consentAs('ada', await linkOf(login));
    await page.getByText('Is this your login?').waitFor();
    await page.getByText('It is mine: log in').click();
    await page.getByText('You are logged in').waitFor();
    expect(await login.ended).toBe(0);
    expect(await reads('team/one', await kept())).toBe(200);
    recording.note('callback_mode direct, polled by the command');
  });

  test('says what is wrong with an address that the role does not allow, and with a port that is taken', async () => {
    await configure();
    const elsewhere = startLogin([`port=${port}`, 'callbackhost=evil.example', 'skip_browser=true']);
    expect(await elsewhere.ended).toBe(1);
    expect(elsewhere.output()).toContain(
      `Unable to authorize role "" with redirect_uri "http://evil.example:${port}/oidc/callback".`,
    );
    const { port: taken } = new URL(platform.address);
    const second = startLogin([`port=${taken}`, 'skip_browser=true']);
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain(`cannot listen on 127.0.0.1 port ${taken}: EADDRINUSE`);
  });
});

/** A provider on this machine, whose people are in the groups below and prove who they are with any password. */
async function startProvider(
  redirectUris: readonly string[],
): Promise<{ readonly provider: Server; readonly issuer: string }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const roles: Readonly<Record<string, readonly string[]>> = { ada: ['staff', 'bosses'], eve: ['staff'] };
  const { default: Provider } = await import('oidc-provider' as string);
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: redirectUris,
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    claims: { openid: ['sub'], email: ['email'], realm: ['realm_access'] },
    scopes: ['openid', 'email', 'realm'],
    pkce: { required: () => true },
    cookies: { keys: ['a key of a test'] },
    findAccount: async (_: unknown, id: string) => ({
      accountId: id,
      claims: async () => ({
        sub: id,
        email: `${id}@example.org`,
        realm_access: { roles: roles[id] ?? [] },
      }),
    }),
  });
  server.on('request', provider.callback());
  return { provider: server, issuer };
}

/** The program, built from the sources at hand. */
async function bundled(): Promise<string> {
  const outfile = join(await mkdtemp(join(root, 'node_modules', '.holdfast-oidc-')), 'holdfast.js');
  await build({
    absWorkingDir: root,
    entryPoints: ['src/bin/holdfast.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: ['lmdb'],
    banner: REQUIRE,
    logLevel: 'error',
  });
  return outfile;
}
