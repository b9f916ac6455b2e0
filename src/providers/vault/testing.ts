/**
 * For tests: a server of the Vault API with methods of login that ours has not. Each login is a test's to decide; the token
 * that it gives knows itself, is renewed and is revoked, and opens nothing.
 */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What was shown at `auth/<mount>/login[/<name>]`. */
export interface Shown {
  readonly path: string;
  readonly body: Readonly<Record<string, string>>;
}

export interface LoginDouble {
  readonly url: string;
  readonly shown: Shown[];
  close(): Promise<void>;
}

/** @param decide why it refuses; undefined lets in */
export async function startLogins(
  decide: (shown: Shown) => string | undefined | Promise<string | undefined>,
): Promise<LoginDouble> {
  const live = new Set<string>();
  const shown: Shown[] = [];
  const auth = (token: string) => ({
    auth: { client_token: token, lease_duration: 3600, renewable: true, policies: ['eso'] },
  });
  async function answer(path: string, token: string, sent: string): Promise<readonly [number, unknown?]> {
    if (/^auth\/[^/]+\/login(\/|$)/.test(path)) {
      const login = { path, body: JSON.parse(sent) };
      shown.push(login);
      const reason = await decide(login);
      if (reason !== undefined) return [400, { errors: [reason] }];
      const made = `token-${shown.length}`;
      live.add(made);
      return [200, auth(made)];
    }
    if (!live.has(token)) return [403, { errors: ['permission denied'] }];
    if (path === 'auth/token/renew-self') return [200, auth(token)];
    if (path === 'auth/token/revoke-self') live.delete(token);
    return path === 'auth/token/lookup-self' ? [200, { data: { policies: ['eso'] } }] : [204];
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', async () => {
      const path = decodeURIComponent(request.url ?? '').slice('/v1/'.length);
      const token = String(request.headers['x-vault-token'] ?? '');
      const [status, told] = await answer(path, token, Buffer.concat(chunks).toString());
      response.writeHead(status).end(told === undefined ? '' : JSON.stringify(told));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    shown,
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
