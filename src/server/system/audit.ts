/** audit and audit-hash: where the trail goes, and how a value looks in it. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { flag, keyValues } from '../../base/schema.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';

const device = z.object({
  path: z.string(),
  type: z.string(),
  description: z.string(),
  options: z.record(z.string(), z.string()),
  local: z.boolean(),
});
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
          output: z.record(z.string(), device),
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
          output: z.undefined(),
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
          output: z.undefined(),
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
          output: z.object({ hash: z.string() }),
          effect: 'none',
          flat: true,
          async run({ path, input }) {
            if (input === '') throw failure('request.invalid', { reason: 'the "input" parameter is empty' });
            return { data: { hash: await services(core).audit.hash(withSlash(path), input) } };
          },
        }),
      },
    },
    {
      path: 'audit-chain/*path',
      access: 'sudo',
      operations: {
        read: operation({
          summary:
            'The newest line of each writer of a device, against which `holdfast audit verify` holds its files.',
          input: z.object({ path: z.string().min(1) }),
          output: z.object({
            anchors: z.array(z.object({ writer: z.string(), seq: z.number(), sum: z.string() })),
          }),
          effect: 'none',
          async run({ path }) {
            const anchors = (await services(core).audit.anchors?.(withSlash(path))) ?? [];
            // A device that was disabled keeps its anchors, because its files can still be verified.
            if (anchors.length === 0) throw failure('audit.missing', { path: withSlash(path) });
            return { data: { anchors: [...anchors] } };
          },
        }),
      },
    },
  ];
}
