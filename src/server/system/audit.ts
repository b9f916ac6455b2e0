/** audit and audit-hash: where the trail goes, and how a value looks in it. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { flag, keyValues } from '../../base/schema.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';

const reply = z.unknown();
const withSlash = (path: string): string => (path.endsWith('/') ? path : `${path}/`);

export function auditRoutes(core: Core): Route[] {
  return [
    {
      path: 'audit',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'The audit devices.',
          input: z.object({}),
          output: reply,
          effect: 'none',
          flat: true,
          async run() {
            const devices = services(core).audit.list();
            return {
              data: Object.fromEntries(
                devices.map(({ path, type, description, options, local }) => [
                  withSlash(path),
                  { path: withSlash(path), type, description, options, local },
                ]),
              ),
            };
          },
        }),
      },
    },
    {
      path: 'audit/*path',
      access: 'sudo',
      operations: {
        write: operation({
          summary:
            'Enables an audit device: from now on nothing is answered that it, or another, did not take.',
          input: z.object({
            path: z.string().min(1),
            type: z.string(),
            description: z.string().default(''),
            options: keyValues().nullish(),
            local: flag().default(false),
          }),
          output: reply,
          effect: 'write',
          async run({ path, type, description, options, local }) {
            await services(core).audit.enable(withSlash(path), {
              type,
              description,
              options: options ?? {},
              local,
            });
            return {};
          },
        }),
        delete: operation({
          summary: 'Disables an audit device.',
          input: z.object({ path: z.string().min(1) }),
          output: reply,
          effect: 'write',
          async run({ path }) {
            await services(core).audit.disable(withSlash(path));
            return {};
          },
        }),
      },
    },
    {
      path: 'audit-hash/*path',
      operations: {
        write: operation({
          summary: 'How a value looks in the lines of a device.',
          input: z.object({ path: z.string().min(1), input: z.string().default('') }),
          output: reply,
          effect: 'none',
          flat: true,
          async run({ path, input }) {
            if (input === '') throw failure('request.invalid', { reason: 'the "input" parameter is empty' });
            return { data: { hash: await services(core).audit.hash(withSlash(path), input) } };
          },
        }),
      },
    },
  ];
}
