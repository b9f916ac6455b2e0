// Creating service tokens: each is durable when it is answered.

import { fileURLToPath } from 'node:url';
import { AUDIT_OFF_AND_ON, compare } from './parts/compare.mjs';
import { tokensFor } from './parts/secrets.mjs';
import { requestText } from './parts/wire.mjs';

export const summary = 'tokens, create';

export const run = (options) =>
  compare(options, {
    title: `${summary}: a service token for an hour, child of the one that asks`,
    module: fileURLToPath(import.meta.url),
    variants: AUDIT_OFF_AND_ON,
    async prepare(api) {
      const policy = 'path "auth/token/create" { capabilities = ["update"] }';
      return { tokens: await tokensFor(api, policy, Math.max(...options.clients)) };
    },
  });

export function traffic({ tokens }) {
  return {
    client(index) {
      const text = requestText({
        method: 'POST',
        path: '/v1/auth/token/create',
        token: tokens[index],
        body: { ttl: '1h', policies: ['bench'] },
      });
      return {
        next: () => text,
        check: (status, body) =>
          status === 200 && body.includes('"client_token":"') ? undefined : 'no token was made',
      };
    },
  };
}
