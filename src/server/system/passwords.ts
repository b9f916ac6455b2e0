/** policies/password: by what rules engines make passwords. */

import { z } from 'zod';
import { fromBase64, textOf } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';

const name = z.object({ name: z.string() });

export function passwordRoutes(core: Core): Route[] {
  return [
    {
      path: 'policies/password',
      operations: {
        list: operation({
          summary: 'The names of the password policies.',
          input: z.object({}),
          output: z.object({ keys: z.array(z.string()) }),
          effect: 'none',
          run: async () => ({ data: { keys: await services(core).passwords.names() } }),
        }),
      },
    },
    {
      path: 'policies/password/:name',
      operations: {
        read: operation({
          summary: 'A password policy, as it was written.',
          input: name,
          output: z.object({ policy: z.string() }),
          effect: 'none',
          async run({ name: asked }) {
            const policy = await services(core).passwords.text(asked);
            return policy === undefined ? {} : { data: { policy } };
          },
        }),
        write: operation({
          summary: 'Writes a password policy: length, and rules of characters.',
          input: z.object({ name: z.string(), policy: z.string().default('') }),
          output: z.undefined(),
          effect: 'write',
          async run({ name: asked, policy }) {
            if (policy === '') throw failure('request.invalid', { reason: 'missing policy' });
            await services(core).passwords.write(asked, plainText(policy));
            return {};
          },
        }),
        delete: operation({
          summary: 'Deletes a password policy.',
          input: name,
          output: z.undefined(),
          effect: 'write',
          async run({ name: asked }) {
            await services(core).passwords.delete(asked);
            return {};
          },
        }),
      },
      exists: async ({ name: asked = '' }) => (await services(core).passwords.text(asked)) !== undefined,
    },
    {
      path: 'policies/password/:name/generate',
      operations: {
        read: operation({
          summary: 'A password made by the policy; it is kept nowhere.',
          input: name,
          output: z.object({ password: z.string() }),
          effect: 'none',
          run: async ({ name: asked }) => ({
            data: { password: await services(core).passwords.make(asked) },
          }),
        }),
      },
    },
  ];
}

/** Clients may send the text in base64, which no policy is by chance: there an "=" stands only at the end. */
function plainText(given: string): string {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(given.trim())) return given;
  const bytes = fromBase64(given.trim());
  return (bytes && textOf(bytes)) ?? given;
}
