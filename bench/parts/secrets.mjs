// What several benchmarks read: a KV mount, secrets in it, and tokens that may use them.

import { fileURLToPath } from 'node:url';
import { requestText } from './wire.mjs';

/** How many secrets there are where nothing else is said. */
export const SECRETS = 10_000;
/** Enough to try the benchmark itself. */
const SMOKE_SECRETS = 500;
export const secretsFor = ({ smoke }) => (smoke ? SMOKE_SECRETS : SECRETS);
/** Many: they share the flushes of the disk. */
const SEED_CLIENTS = 512;
const FILLER = 'x'.repeat(400);
const MODULE = fileURLToPath(import.meta.url);

/** Secrets lie in folders of a hundred, as people have them. */
export const secretPath = (i) => `team-${Math.floor(i / 100)}/service-${i % 100}`;
/** Text that is in the answer to the secret of this number, and of no other. */
export const secretMark = (i) => `"mark":"m-${i}-"`;

/** The body that writes a secret: about 480 bytes of data. */
export const secretBody = (i) =>
  JSON.stringify({ data: { mark: `m-${i}-`, username: `user-${i}`, password: `pass-${i}`, filler: FILLER } });

/** A KV mount of version 2 at secret/. */
export async function mountKv(api) {
  await api.ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  // The peer upgrades a new mount in the background, and refuses writes meanwhile.
  for (let tries = 0; ; tries++) {
    try {
      return await api.ask('POST', 'secret/data/probe', { data: { mark: 'probe' } });
    } catch (error) {
      if (tries === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Tokens that may read and write the mount, one for each client. */
export const issueTokens = (api, count) =>
  tokensFor(api, 'path "secret/*" { capabilities = ["create", "read", "update", "list"] }', count);

/** Tokens for a day under this policy, which is named bench: one for each client. */
export async function tokensFor(api, policy, count) {
  await api.ask('PUT', 'sys/policies/acl/bench', { policy });
  return Promise.all(
    Array.from({ length: count }, async () => {
      const { auth } = await api.ask('POST', 'auth/token/create', { policies: ['bench'], ttl: '24h' });
      return auth.client_token;
    }),
  );
}

/** Writes secrets `from` up to `to` through the API, as fast as many clients can. Gives how it went. */
export const seedSecrets = (contender, generator, to, from = 0) =>
  generator.run({
    module: MODULE,
    params: { token: contender.token, from, to },
    host: contender.host,
    port: contender.port,
    clients: SEED_CLIENTS,
  });

/** The bare answer is always the same. */
const ANY_MARK = secretMark('').slice(0, -2);

/** The traffic that reads, at random: each answer has to hold what was written under its name. */
export function readTraffic({ tokens, bare, count = SECRETS }) {
  return {
    client(index) {
      const [before, after] = requestText({ path: '/v1/secret/data/*', token: tokens[index] }).split('*');
      let at = 0;
      return {
        next() {
          at = Math.floor(Math.random() * count);
          return before + secretPath(at) + after;
        },
        check: (status, body) =>
          status === 200 && body.includes(bare ? ANY_MARK : secretMark(at))
            ? undefined
            : 'not the secret that was asked for',
      };
    },
  };
}

/** The traffic that seeds: each client writes every n-th secret, once. */
export function traffic({ token, from, to }) {
  return {
    client(index, clients) {
      let at = from + index - clients;
      return {
        next() {
          at += clients;
          if (at >= to) return undefined;
          return requestText({
            method: 'POST',
            path: `/v1/secret/data/${secretPath(at)}`,
            token,
            body: secretBody(at),
          });
        },
        check: (status) => (status === 200 ? undefined : 'a secret was not written'),
      };
    },
  };
}
