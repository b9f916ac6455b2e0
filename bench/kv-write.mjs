// Writing KV version 2: every answer after the store has flushed; on LMDB, and on a PostgreSQL of this run's own.

import { fileURLToPath } from 'node:url';
import { AUDIT_OFF_AND_ON, compare } from './parts/compare.mjs';
import { NO_POSTGRESQL, startPostgresql } from './parts/postgres.mjs';
import { issueTokens, mountKv, secretBody, secretPath, secretsFor, seedSecrets } from './parts/secrets.mjs';
import { requestText } from './parts/wire.mjs';

export const summary = 'KV version 2, durable write';

export async function run(options) {
  const count = secretsFor(options);
  const postgres = await startPostgresql();
  if (postgres === undefined) console.log(NO_POSTGRESQL);
  try {
    return await compare(options, {
      title: `${summary}: a new version of one of ${count} secrets of about 480 bytes, at random`,
      module: fileURLToPath(import.meta.url),
      variants: [
        ...AUDIT_OFF_AND_ON,
        ...(postgres === undefined
          ? []
          : [{ variant: 'on PostgreSQL, audit off', storage: postgres.stanza, ours: true }]),
      ],
      async prepare(api, { contender, generator }) {
        await mountKv(api);
        await seedSecrets(contender, generator, count);
        return { tokens: await issueTokens(api, Math.max(...options.clients)), count };
      },
      claims: [claim('audit off', 'LMDB', 8000), claim('on PostgreSQL, audit off', 'PostgreSQL', 1500)],
    });
  } finally {
    await postgres?.stop();
  }
}

const claim = (variant, store, least) => ({
  text: `at 64 clients on ${store}, at least ${least} durable writes a second`,
  holds: (find) => {
    const row = find(variant, 64);
    return row && row.perSecond >= least;
  },
});

export function traffic({ tokens, count }) {
  return {
    client: (index) => ({
      next() {
        const at = Math.floor(Math.random() * count);
        return requestText({
          method: 'POST',
          path: `/v1/secret/data/${secretPath(at)}`,
          token: tokens[index],
          body: secretBody(at),
        });
      },
      check: (status, body) =>
        status === 200 && body.includes('"version":') ? undefined : 'a secret was not written',
    }),
  };
}
