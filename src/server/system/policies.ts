/** policies/acl, the older policy paths, and capabilities. */

import { z } from 'zod';
import { fromBase64, textOf } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { type Path, parsePath } from '../../base/path.ts';
import { commaList } from '../../base/schema.ts';
import { type Operation, operation, type Route } from '../../plugin/plugin.ts';
import type { Acl } from '../auth/acl.ts';
import { authorityOf } from '../core/authority.ts';
import { type Core, services } from '../core/core.ts';
import { exchangeOf } from '../core/exchange.ts';

const none = z.object({});
/** The older paths tell the same under another name as well. */
const names = z.object({ keys: z.array(z.string()), policies: z.array(z.string()).optional() });
const textOfOne = z.object({
  name: z.string(),
  policy: z.string().optional(),
  rules: z.string().optional(),
});
/** By path; of one path under `capabilities` as well. */
const capabilities = z.record(z.string(), z.array(z.string()));
const named = z.object({ name: z.string().min(1) });

export function policyRoutes(core: Core): Route[] {
  const list = (legacy: boolean): Operation =>
    operation({
      summary: 'The names of the policies.',
      input: none,
      output: names,
      effect: 'none',
      flat: legacy,
      async run() {
        const keys = await services(core).policies.names();
        return { data: legacy ? { keys, policies: keys } : { keys } };
      },
    });
  const one = (legacy: boolean): Route => ({
    path: legacy ? 'policy/*name' : 'policies/acl/*name',
    lowercase: ['name'],
    async exists({ name = '' }) {
      return services(core).policies.exists(name);
    },
    operations: {
      read: operation({
        summary: 'The text of a policy, as it was written.',
        input: named,
        output: textOfOne,
        effect: 'none',
        flat: legacy,
        async run({ name }) {
          const text = await services(core).policies.text(name);
          if (text === undefined) return {};
          return { data: legacy ? { name, rules: text } : { name, policy: text } };
        },
      }),
      write: operation({
        summary: 'Writes a policy, in HCL or JSON, plain or in base64.',
        input: named.extend({ policy: z.string().optional(), rules: z.string().optional() }),
        output: none,
        effect: 'write',
        async run({ name, policy, rules }) {
          const given = policy ?? rules ?? '';
          if (given === '')
            throw failure('request.invalid', { reason: "'policy' parameter not supplied or empty" });
          await services(core).policies.write(name, plainText(given));
          return {};
        },
      }),
      delete: operation({
        summary: 'Deletes a policy; who was given it may no longer do what it allowed.',
        input: named,
        output: none,
        effect: 'write',
        async run({ name }) {
          await services(core).policies.delete(name);
          return {};
        },
      }),
    },
  });
  return [
    { path: 'policies/acl', operations: { read: list(false), list: list(false) } },
    one(false),
    { path: 'policy', operations: { read: list(true), list: list(true) } },
    one(true),
    ...capabilityRoutes(core),
  ];
}

/** Base64 holds no space, brace or quote, and every policy has one of them. */
function plainText(given: string): string {
  const bytes = fromBase64(given.trim());
  return (bytes && textOf(bytes)) ?? given;
}

/** The path as a request for it would be judged: names without case are folded there as well. */
const asJudged = (core: Core, path: Path): Path => services(core).mounts.lead(path)?.path ?? path;

function capabilityRoutes(core: Core): Route[] {
  const input = z.object({
    path: commaList().optional(),
    paths: commaList().optional(),
    token: z.string().optional(),
    accessor: z.string().optional(),
  });
  const answer = (
    summary: string,
    aclOf: (given: z.output<typeof input>, own: Acl | undefined) => Promise<Acl>,
  ): Operation =>
    operation({
      summary,
      input,
      output: capabilities,
      effect: 'none',
      flat: true,
      async run(given, call) {
        const paths = [...(given.paths ?? []), ...(given.path ?? [])];
        if (paths.length === 0) throw failure('request.invalid', { reason: 'paths must be supplied' });
        const acl = await aclOf(given, exchangeOf(call).acl);
        const data: Record<string, string[]> = Object.create(null);
        for (const path of paths) data[path] = [...acl.capabilities(asJudged(core, parsePath(path)))];
        const [only] = paths;
        if (paths.length === 1 && only !== undefined) data['capabilities'] = data[only] ?? [];
        return { data };
      },
    });
  const tokens = () => services(core).tokens;
  return [
    {
      path: 'capabilities',
      operations: {
        write: answer('What a token may do on some paths.', async ({ token = '' }) => {
          const entry = await tokens().lookup(token);
          if (entry === undefined) throw failure('request.invalid', { reason: 'invalid token' });
          return (await authorityOf(services(core), entry)).acl;
        }),
      },
    },
    {
      path: 'capabilities-self',
      operations: {
        write: answer('What the caller may do on some paths.', async (_given, own) => {
          if (own === undefined) throw failure('request.denied');
          return own;
        }),
      },
    },
    {
      path: 'capabilities-accessor',
      operations: {
        write: answer('What the token of an accessor may do on some paths.', async ({ accessor = '' }) => {
          const entry = await tokens().byAccessor(accessor);
          if (entry === undefined) throw failure('token.invalid_accessor');
          return (await authorityOf(services(core), entry)).acl;
        }),
      },
    },
  ];
}
