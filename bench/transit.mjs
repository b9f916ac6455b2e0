// Transit: encrypting a text of a hundred bytes with one AES key.

import { fileURLToPath } from 'node:url';
import { AUDIT_OFF_AND_ON, compare } from './parts/compare.mjs';
import { tokensFor } from './parts/secrets.mjs';
import { requestText } from './parts/wire.mjs';

export const summary = 'transit, encrypt';

export const run = (options) =>
  compare(options, {
    title: `${summary}: 100 bytes with one aes256-gcm96 key`,
    module: fileURLToPath(import.meta.url),
    variants: AUDIT_OFF_AND_ON,
    async prepare(api) {
      await api.ask('POST', 'sys/mounts/transit', { type: 'transit' });
      await api.ask('POST', 'transit/keys/bench', {});
      const policy = 'path "transit/encrypt/bench" { capabilities = ["update"] }';
      return { tokens: await tokensFor(api, policy, Math.max(...options.clients)) };
    },
    claims: [
      {
        text: 'at 64 clients with audit off, at least 12000 encryptions a second',
        holds(find) {
          const row = find('audit off', 64);
          return row && row.perSecond >= 12_000;
        },
      },
    ],
  });

export function traffic({ tokens }) {
  const plaintext = Buffer.alloc(100, 'p').toString('base64');
  return {
    client(index) {
      const text = requestText({
        method: 'POST',
        path: '/v1/transit/encrypt/bench',
        token: tokens[index],
        body: { plaintext },
      });
      return {
        next: () => text,
        check: (status, body) =>
          status === 200 && body.includes('"ciphertext":"vault:v1:') ? undefined : 'nothing was encrypted',
      };
    },
  };
}
