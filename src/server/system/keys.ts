/** key-status, rotate and rotate/config: the key that seals what is stored. */

import { z } from 'zod';
import { seconds } from '../../base/duration.ts';
import { duration, flag, integer } from '../../base/schema.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';
import { timestamp } from '../core/envelope.ts';

const none = z.object({});
const statusText = z.object({ term: z.number(), install_time: z.string(), encryptions: z.number() });
const configText = z.object({ enabled: z.boolean(), max_operations: z.number(), interval: z.number() });

export function keyRoutes(core: Core): Route[] {
  const rotate = operation({
    summary: 'Puts a new key in front of all others; what older keys sealed stays readable.',
    input: none,
    output: z.undefined(),
    effect: 'write',
    async run() {
      await services(core).custody.rotate();
      return {};
    },
  });
  return [
    {
      path: 'key-status',
      operations: {
        read: operation({
          summary: 'The key that seals: its number, since when, and how often it did.',
          input: none,
          output: statusText,
          effect: 'none',
          flat: true,
          async run() {
            const { term, installedAt, encryptions } = services(core).custody.status();
            return { data: { term, install_time: timestamp(installedAt), encryptions } };
          },
        }),
      },
    },
    { path: 'rotate', access: 'sudo', operations: { write: rotate } },
    { path: 'rotate/keyring', access: 'sudo', operations: { write: rotate } },
    ...['rotate/config', 'rotate/keyring/config'].map(
      (path): Route => ({
        path,
        access: 'sudo',
        operations: {
          read: operation({
            summary: 'When the key is replaced by itself.',
            input: none,
            output: configText,
            effect: 'none',
            async run() {
              const { enabled, maxOperations, intervalMs } = services(core).custody.config;
              return { data: { enabled, max_operations: maxOperations, interval: seconds(intervalMs) } };
            },
          }),
          write: operation({
            summary: 'Sets when the key is replaced by itself.',
            input: z.object({
              enabled: flag().optional(),
              max_operations: integer().optional(),
              interval: duration().optional(),
            }),
            output: z.undefined(),
            effect: 'write',
            async run({ enabled, max_operations, interval }) {
              const { custody } = services(core);
              await custody.configure({
                enabled: enabled ?? custody.config.enabled,
                maxOperations: max_operations ?? custody.config.maxOperations,
                intervalMs: interval ?? custody.config.intervalMs,
              });
              return {};
            },
          }),
        },
      }),
    ),
  ];
}
