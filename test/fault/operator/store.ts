/** A store that speaks the Vault API and can be made ill in the ways in which stores are. It counts the tokens it gave. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * `down`: connections are reset. `slow`: answers come, much later. `garbage`: a page of a proxy, with status 200. `empty`:
 * every value is the empty text. `gone`: there are no secrets. `limited`: 429 with Retry-After.
 */
export type State = 'well' | 'down' | 'sealed' | 'slow' | 'garbage' | 'empty' | 'gone' | 'limited';

export interface SickStore {
  readonly port: number;
  state: State;
  /** What every secret's value ends with. */
  generation: number;
  /** Reads that came while it was `limited`, by the second in which they came. */
  readonly refused: Map<number, number>;
  /** Tokens that were given and neither revoked nor ended. */
  readonly tokens: Set<string>;
  /** What `database/creds/app` issued and nobody took back, by lease. */
  readonly accounts: ReadonlyMap<string, Account>;
  /** No token that was given is known any more. */
  expire(): void;
  close(): Promise<void>;
}

export interface Account {
  readonly username: string;
  /** The login that it was issued under, and ends with. */
  readonly token: string;
}

const SLOW_MS = 15_000;
export const RETRY_AFTER_SECONDS = 3;
/** A key that names what issues accounts. */
export const ISSUING = 'database/creds/app';

export async function startSickStore(): Promise<SickStore> {
  let made = 0;
  const refused = new Map<number, number>();
  const tokens = new Set<string>();
  const accounts = new Map<string, Account>();
  const store = { state: 'well' as State, generation: 1 };

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const send = (status: number, body: unknown, headers: Record<string, string> = {}): void => {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(text);
    };
    const refuse = (status: number, ...errors: string[]): void => send(status, { errors });
    const path = request.url ?? '';
    const token = String(request.headers['x-vault-token'] ?? '');
    switch (store.state) {
      case 'sealed':
        return refuse(503, 'Vault is sealed');
      case 'garbage':
        return send(200, '<html><body>It works!</body></html>', { 'content-type': 'text/html' });
      case 'limited': {
        const second = Math.floor(Date.now() / 1000);
        refused.set(second, (refused.get(second) ?? 0) + 1);
        return send(429, { errors: ['slow down'] }, { 'retry-after': String(RETRY_AFTER_SECONDS) });
      }
    }
    if (path === '/v1/auth/kubernetes/login') {
      const given = `token-${++made}`;
      tokens.add(given);
      return send(200, {
        auth: {
          client_token: given,
          policies: ['app'],
          lease_duration: 3600,
          renewable: true,
          accessor: given,
        },
      });
    }
    if (!tokens.has(token)) return refuse(403, 'permission denied');
    if (path === '/v1/auth/token/revoke-self') {
      tokens.delete(token);
      for (const [lease, account] of accounts) if (account.token === token) accounts.delete(lease);
      response.writeHead(204);
      return void response.end();
    }
    if (path === '/v1/auth/token/renew-self')
      return send(200, { auth: { client_token: token, lease_duration: 3600, renewable: true } });
    if (path === `/v1/sys/internal/ui/mounts/${ISSUING}`)
      return send(200, { data: { path: 'database/', type: 'database', options: null } });
    if (path === `/v1/${ISSUING}`) {
      const lease_id = `${ISSUING}/${++made}`;
      const username = `v-app-${made}`;
      accounts.set(lease_id, { username, token });
      const data = { username, password: `of ${username}` };
      return send(200, { lease_id, lease_duration: 3600, renewable: true, data });
    }
    if (path === `/v1/secret/data/${ISSUING}`) return refuse(404);
    if (path === '/v1/auth/token/lookup-self')
      return send(200, { data: { id: token, policies: ['app'], ttl: 3600, renewable: true } });
    const key = /^\/v1\/secret\/data\/(.+)$/.exec(path)?.[1];
    if (key === undefined || store.state === 'gone') return refuse(404);
    const value = store.state === 'empty' ? '' : `${key} ${store.generation}`;
    return send(200, {
      data: {
        data: { value },
        metadata: {
          version: store.generation,
          created_time: '2026-01-01T00:00:00Z',
          deletion_time: '',
          destroyed: false,
          custom_metadata: null,
        },
      },
    });
  };

  const server = createServer((request, response) => {
    request.resume();
    if (store.state === 'down') return void request.socket.resetAndDestroy();
    if (store.state !== 'slow') return void request.on('end', () => answer(request, response));
    const timer = setTimeout(() => answer(request, response), SLOW_MS);
    response.on('close', () => clearTimeout(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(store, {
    port: (server.address() as AddressInfo).port,
    refused,
    tokens,
    accounts,
    expire: () => {
      tokens.clear();
      accounts.clear();
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}
