/**
 * A whole server, stocked: an engine and a method of every kind, each with something secret in its configuration, and callers
 * of every kind. The table of refused requests is asked of it over HTTP.
 */

import { createHash, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto';
import { systemClock } from '../../../src/base/clock.ts';
import type { Facts, Log } from '../../../src/base/log.ts';
import { plugins } from '../../../src/bin/plugins.ts';
import type { DialRequest } from '../../../src/plugin/plugin.ts';
import { listen } from '../../../src/server/http/listener.ts';
import { createServer } from '../../../src/server/server.ts';
import { MemoryBackend } from '../../../src/storage/memory.ts';
import { message, sendBytes, type WireReply } from '../../support/wire.ts';
import { CANARIES, SECRETS } from './canaries.ts';
import { stock } from './stock.ts';

/** What rows need to know of the world: tokens, ids and secrets that were made in it. */
export type Made = Readonly<Record<string, string>>;

export interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly token?: string;
  readonly headers?: readonly string[];
  /** Text and bytes go as they are, anything else as JSON. */
  readonly body?: unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape are looked into
export type Json = any;

export interface World {
  readonly port: number;
  readonly root: string;
  readonly made: Made;
  readonly key: KeyObject;
  /** One request as bytes, and what came back. */
  send(asked: Asked): Promise<WireReply>;
  /** As root; @throws where it is not answered with success */
  ok(method: string, path: string, body?: unknown, headers?: readonly string[]): Promise<Json>;
  /** The hash over all that is stored, once nothing is being written any more. */
  stored(): Promise<string>;
  /** The entries of the store that hold a secret as it is, or in a common dress. */
  open(): Promise<readonly string[]>;
  /** All that was logged. */
  logged(): string;
  /** Which of the secrets of the world a text gives away, by name. */
  leaks(text: string): readonly string[];
  /** A signed JWT of the key that the method at auth/jwt believes. */
  jwt(claims: object, header?: object): string;
  close(): Promise<void>;
}

export async function startWorld(): Promise<World> {
  const backend = new MemoryBackend();
  const lines: string[] = [];
  const server = await createServer({
    backend,
    plugins: plugins(undefined, async (host) => ({ ip: host, port: 9 })),
    clock: systemClock,
    log: recording(lines),
    dial: async (request) => source(request),
    mayReach: async () => true,
  });
  const listener = await listen(server, { host: '127.0.0.1', port: 0 });
  const { keys, rootToken: root } = await server.seal.initialize(1, 1);
  for (const key of keys) await server.seal.submit(key);
  const port = listener.address.port;
  const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  const send = ({ method = 'GET', path, token, headers = [], body }: Asked): Promise<WireReply> =>
    sendBytes(
      port,
      message({
        method,
        target: path.startsWith('/') ? path : `/v1/${path}`,
        headers,
        ...(token === undefined ? {} : { token }),
        ...(body === undefined ? {} : { body: bytesOf(body) }),
      }),
    );
  const ok = async (method: string, path: string, body?: unknown, headers: readonly string[] = []) => {
    const reply = await send({ method, path, token: root, headers, body });
    if (reply.status < 200 || reply.status > 299)
      throw new Error(`${method} ${path}: ${reply.status} ${reply.body.slice(0, 500)}`);
    return reply.body === '' ? {} : (JSON.parse(Buffer.from(reply.body, 'latin1').toString()) as Json);
  };
  const jwt = (claims: object, header: object = {}): string => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'ES256', typ: 'JWT', ...header })}.${part(claims)}`;
    const signature = signBytes('sha256', Buffer.from(signed), {
      key: signer.privateKey,
      dsaEncoding: 'ieee-p1363',
    });
    return `${signed}.${signature.toString('base64url')}`;
  };
  const stored = async (): Promise<string> => {
    for (let head = -1; head !== (await backend.head()); ) {
      head = await backend.head();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const hash = createHash('sha256');
    for await (const { key, value, revision } of backend.scan('', new AbortController().signal))
      hash.update(`${key.length}:${key}:${revision}:${value.length}:`).update(value);
    return hash.digest('hex');
  };
  const pem = signer.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const made: Made = {
    root,
    share: Buffer.from(keys[0] ?? []).toString('hex'),
    ...(await stock(ok, pem)),
  };
  const canaries = CANARIES([
    ...SECRETS,
    ...Object.entries(made).filter(([name]) => name.endsWith('Secret')),
  ]);

  return {
    port,
    root,
    made,
    key: signer.privateKey,
    send,
    ok,
    stored,
    jwt,
    logged: () => lines.join('\n'),
    leaks: canaries,
    async open() {
      const found: string[] = [];
      for await (const { key, value } of backend.scan('', new AbortController().signal))
        if (canaries(`${key}\n${Buffer.from(value).toString('latin1')}`).length > 0) found.push(key);
      return found;
    },
    async close() {
      await listener.close(0);
      await server.close();
      await backend.close();
    },
  };
}

const bytesOf = (body: unknown): string | Uint8Array =>
  typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);

/** Every line at every level, as one that ships logs would have them. */
function recording(lines: string[], base: Facts = {}): Log {
  const at =
    (level: string) =>
    (text: string, facts: Facts = {}): void => {
      lines.push(JSON.stringify({ level, text, ...base, ...facts }, errorsToo));
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (facts) => recording(lines, { ...base, ...facts }),
  };
}

const errorsToo = (_key: string, value: unknown): unknown =>
  value instanceof Error
    ? { name: value.name, message: value.message, stack: value.stack, cause: value.cause }
    : value;

/** Everything outside of the server: an account system for the custom engine, an identity provider, and a silence. */
async function source({ url, method }: DialRequest): Promise<{ status: number; body: Uint8Array }> {
  const { pathname, host } = new URL(url);
  const json = (value: unknown, status = 200) => ({ status, body: Buffer.from(JSON.stringify(value)) });
  if (host === 'idp.test') {
    const issuer = 'https://idp.test';
    if (pathname === '/.well-known/openid-configuration')
      return json({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/keys`,
        response_types_supported: ['code'],
        id_token_signing_alg_values_supported: ['RS256', 'ES256'],
        subject_types_supported: ['public'],
      });
    if (pathname === '/keys') return json({ keys: [] });
    return json({ error: 'invalid_grant' }, 400);
  }
  return method === 'DELETE' ? json({}, 200) : json({ message: 'not here' }, 404);
}
