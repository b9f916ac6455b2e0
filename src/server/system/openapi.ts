/** internal/specs/openapi and internal/ui/resultant-acl: what can be asked here, and what of it the caller may. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { flag } from '../../base/schema.ts';
import { type Operation, operation, type Route, type Verb } from '../../plugin/plugin.ts';
import type { Acl, Granted } from '../auth/acl.ts';
import { type Platform, services } from '../core/core.ts';
import { exchangeOf } from '../core/exchange.ts';
import type { LiveMount } from '../core/mounts.ts';
import { bare } from './replies.ts';

const METHOD: Readonly<Record<Verb, string>> = {
  read: 'get',
  list: 'get',
  write: 'post',
  patch: 'patch',
  delete: 'delete',
};

const pathRules = z.record(z.string(), z.object({ capabilities: z.array(z.string()) }));
const resultantText = z.object({
  root: z.boolean(),
  exact_paths: pathRules.optional(),
  glob_paths: pathRules.optional(),
});

const document = z.object({
  openapi: z.string(),
  info: z.object({ title: z.string(), description: z.string(), version: z.string() }),
  paths: z.record(z.string(), z.looseObject({})),
});

export function openApiRoutes({ core, version }: Platform): Route[] {
  return [
    {
      path: 'internal/specs/openapi',
      access: 'public',
      operations: {
        read: operation({
          summary: 'The OpenAPI description of all that the caller can see.',
          input: z.object({ generic_mount_paths: flag().default(false), context: z.string().default('') }),
          output: document,
          effect: 'none',
          async run(_input, call) {
            const { acl } = exchangeOf(call);
            const { mounts } = services(core);
            const all = [...mounts.list('secret'), ...mounts.list('auth')];
            const shown = all.filter(
              ({ path, config }) =>
                path === 'sys/' ||
                config.listingVisibility === 'unauth' ||
                (acl !== undefined && (acl.root || acl.reaches(path))),
            );
            const live = shown.map(({ path }) => mounts.get(path)).filter((mount) => mount !== undefined);
            return bare(documentOf(live, version));
          },
        }),
      },
    },
    {
      path: 'internal/ui/resultant-acl',
      operations: {
        read: operation({
          summary: 'What the policies of the caller grant together.',
          input: z.object({}),
          output: resultantText,
          effect: 'none',
          run: async (_input, call) => ({ data: resultantAcl(exchangeOf(call).acl) }),
        }),
      },
    },
  ];
}

/** Pure: the document for these mounts. */
export function documentOf(mounts: readonly LiveMount[], version: string): z.input<typeof document> {
  const paths = new Map<string, Record<string, unknown>>();
  for (const { entry, plugin } of mounts)
    for (const route of plugin.routes) {
      const path = `/${entry.path}${route.path.replace(/[:*](\w+)/g, '{$1}')}`;
      paths.set(path, { ...paths.get(path), ...pathItem(route, entry.type) });
    }
  return {
    openapi: '3.0.2',
    info: {
      title: 'Holdfast API',
      description: 'Secrets over the Vault HTTP API.',
      version,
    },
    paths: Object.fromEntries([...paths].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function pathItem(route: Route, tag: string): Record<string, unknown> {
  const names = [...route.path.matchAll(/[:*](\w+)/g)].map((match) => match[1] ?? '');
  const item: Record<string, unknown> = {
    'x-vault-unauthenticated': route.access === 'public',
    'x-vault-sudo': route.access === 'sudo',
    'x-vault-createSupported': route.exists !== undefined,
    parameters: names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
  };
  for (const [verb, declared] of Object.entries(route.operations) as [Verb, Operation][]) {
    const described = operationText(verb, declared, names, tag);
    // A path that can be read and listed has one "get", told apart by its query.
    item[METHOD[verb]] = { ...(item[METHOD[verb]] as object | undefined), ...described };
  }
  return item;
}

function operationText(verb: Verb, declared: Operation, names: readonly string[], tag: string): object {
  const text: Record<string, unknown> = {
    summary: declared.summary,
    tags: [tag],
    responses: {
      200: {
        description: 'OK',
        content: { 'application/json': { schema: schemaOf(declared.output, 'output') } },
      },
    },
  };
  if (verb === 'list')
    text['parameters'] = [{ name: 'list', in: 'query', schema: { type: 'string', enum: ['true'] } }];
  if (verb === 'write' || verb === 'patch')
    text['requestBody'] = {
      content: { 'application/json': { schema: withoutPath(schemaOf(declared.input, 'input'), names) } },
    };
  return text;
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...text } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    target: 'openapi-3.0',
  });
  return text;
}

/** The parameters of the path are no members of the body. */
function withoutPath(schema: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  const { properties, required } = schema;
  if (typeof properties !== 'object' || properties === null) return schema;
  const kept = Object.fromEntries(Object.entries(properties).filter(([name]) => !names.includes(name)));
  const needed = Array.isArray(required) ? required.filter((name) => !names.includes(String(name))) : [];
  const { required: _, ...rest } = schema;
  return { ...rest, properties: kept, ...(needed.length === 0 ? {} : { required: needed }) };
}

const told = (paths: Granted['exact']): Record<string, { capabilities: string[] }> =>
  Object.fromEntries([...paths].map(([path, capabilities]) => [path, { capabilities: [...capabilities] }]));

function resultantAcl(acl: Acl | undefined): z.input<typeof resultantText> {
  if (acl === undefined) throw failure('request.denied');
  if (acl.root) return { root: true };
  const { exact, prefixes } = acl.granted();
  return { root: false, exact_paths: told(exact), glob_paths: told(prefixes) };
}
