import { request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { isFailure } from '../base/errors.ts';
import { browserCommand, openBrowser } from './browser.ts';
import { type Brought, type CallbackListener, listenForCallback } from './callback.ts';
import { oidcLogin, redirectUri } from './login-oidc.ts';

const SERVER = 'https://vault.example:8200';

describe('the address that the browser comes back to', () => {
  test.each<[Record<string, string>, string]>([
    [{}, 'http://localhost:8250/oidc/callback'],
    [{ port: '9000' }, 'http://localhost:9000/oidc/callback'],
    [
      { callbackhost: 'me.example', callbackport: '443', callbackmethod: 'https' },
      'https://me.example:443/oidc/callback',
    ],
    [{ callbackhost: '::1' }, 'http://[::1]:8250/oidc/callback'],
    [{ callbackmode: 'direct' }, `${SERVER}/v1/auth/sso/oidc/callback`],
    [
      { callbackmode: 'direct', callbackhost: 'front.example', callbackport: '443/v1/auth/sso' },
      'https://front.example:443/v1/auth/sso/oidc/callback',
    ],
  ])('by %j is %s', (data, uri) => {
    const given = oidcLogin(data);
    expect(redirectUri(given, SERVER, 'sso', given.port)).toBe(uri);
  });

  test('names a port for the server even where its address has none', () => {
    expect(redirectUri(oidcLogin({ callbackmode: 'direct' }), 'https://vault.example', 'oidc', 0)).toBe(
      'https://vault.example:443/v1/auth/oidc/oidc/callback',
    );
  });
});

test.each<[Record<string, string | string[]>, string]>([
  [{ port: '65536' }, 'port is a number up to 65535'],
  [{ port: '-1' }, 'port is a number up to 65535'],
  [{ callbackmethod: 'ftp' }, 'callbackmethod is http or https'],
  [{ callbackmode: 'device' }, 'callbackmode is client or direct'],
  [{ skip_browser: 'maybe' }, 'skip_browser is true or false'],
  [{ role: ['a', 'b'] }, 'role takes one value'],
  [{ show_qr: 'true' }, '"show_qr" is none of'],
])('%j is refused', (data, reason) => {
  expect(() => oidcLogin(data)).toThrow(reason);
});

describe('the browser', () => {
  test('is what the environment names, or what opens pages on the system', () => {
    expect(browserCommand({ BROWSER: 'lynx' }, 'linux').command).toBe('lynx');
    expect(browserCommand({}, 'linux').command).toBe('xdg-open');
    expect(browserCommand({ BROWSER: '' }, 'darwin').command).toBe('open');
    expect(browserCommand({}, 'win32').command).toBe('rundll32');
  });

  test.each(['file:///etc/passwd', 'javascript:alert(1)', '--version', 'vscode://x', ''])(
    'is given no %j, whatever a server answers',
    async (address) => {
      expect(await openBrowser(address, { BROWSER: process.execPath })).toBe(false);
    },
  );

  test('that cannot be found is told', async () => {
    expect(await openBrowser('https://id.example/', { BROWSER: '/nowhere/browser' })).toBe(false);
  });
});

describe('the listener', () => {
  const open: CallbackListener[] = [];
  afterEach(() => {
    for (const listener of open.splice(0)) listener.close();
  });
  const patient = (): AbortSignal => new AbortController().signal;

  async function listen(): Promise<CallbackListener> {
    const listener = await listenForCallback('localhost', 0);
    open.push(listener);
    return listener;
  }

  interface Seen {
    readonly status: number;
    readonly html: string;
    readonly headers: Record<string, unknown>;
  }

  function visit(
    port: number,
    path: string,
    options: { method?: string; body?: string; host?: string } = {},
  ): Promise<Seen> {
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: options.host ?? '127.0.0.1', port, path, method: options.method ?? 'GET', agent: false },
        (answer) => {
          let html = '';
          answer.on('data', (chunk) => {
            html += chunk;
          });
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, html, headers: answer.headers }));
        },
      );
      sent.on('error', reject);
      sent.end(options.body);
    });
  }

  test('takes the one answer with its state, by GET or by POST, and nothing else', async () => {
    const { port, answer } = await listen();
    expect((await visit(port, '/oidc/callback?state=s')).status).toBe(404);
    const seen: Brought[] = [];
    const done = answer(
      's',
      async (brought) => {
        seen.push(brought);
        return 'token';
      },
      patient(),
    );
    const strange = [
      '/',
      '/oidc/callback/',
      '/oidc/callback',
      '/oidc/callback?state=',
      '/oidc/callback?state=t&code=evil',
      '//evil.example/oidc/callback?state=s',
    ];
    for (const path of strange) expect((await visit(port, path)).status).toBeGreaterThanOrEqual(400);
    for (const method of ['PUT', 'DELETE', 'OPTIONS'])
      expect((await visit(port, '/oidc/callback?state=s', { method })).status).toBe(404);
    expect(
      (await visit(port, '/oidc/callback', { method: 'POST', body: `state=s&x=${'y'.repeat(70_000)}` }))
        .status,
    ).toBe(400);
    expect(seen).toEqual([]);
    const page = await visit(port, '/oidc/callback', { method: 'POST', body: 'state=s&code=c%3Cscript%3E' });
    expect(page.status).toBe(200);
    expect(page.html).toContain('You are logged in');
    expect(page.html).not.toContain('script');
    expect(page.headers).toMatchObject({
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    });
    expect(await done).toBe('token');
    expect(seen.map(({ fields, posted }) => [fields.get('code'), posted])).toEqual([['c<script>', true]]);
    expect((await visit(port, '/oidc/callback?state=s&code=again')).status).toBe(400);
    expect(seen).toHaveLength(1);
  });

  test('shows the browser that it failed, and no more; the command gets the reason', async () => {
    const { port, answer } = await listen();
    const done = answer('s', () => Promise.reject(new Error('reason-canary')), patient());
    const told = expect(done).rejects.toThrow('reason-canary');
    const page = await visit(port, '/oidc/callback?state=s&error=%3Cb%3E');
    expect(page.status).toBe(400);
    expect(page.html).toContain('The login failed');
    expect(page.html).not.toContain('canary');
    await told;
  });

  test('stops to wait when nobody comes', async () => {
    const { answer } = await listen();
    const stop = new AbortController();
    const done = answer('s', async () => 'never', stop.signal);
    stop.abort(new Error('too late'));
    await expect(done).rejects.toThrow('too late');
  });

  test('tells a port that is taken', async () => {
    const { port } = await listen();
    const error = await listenForCallback('127.0.0.1', port).catch((thrown: unknown) => thrown);
    expect(isFailure(error, 'cli.oidc')).toBe(true);
  });
});
