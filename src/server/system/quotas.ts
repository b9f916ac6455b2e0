/** quotas: how often one address may ask. */

import { z } from 'zod';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { asLeaf, parsePath } from '../../base/path.ts';
import { commaList, duration, flag } from '../../base/schema.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';
import type { RateQuota } from '../core/quotas.ts';

const quotaText = z.object({
  name: z.string(),
  path: z.string(),
  rate: z.number(),
  interval: z.number(),
  block_interval: z.number(),
  role: z.string(),
  inheritable: z.boolean(),
  type: z.literal('rate-limit'),
});

const shown = (quota: RateQuota): z.infer<typeof quotaText> => ({
  name: quota.name,
  path: quota.path,
  rate: quota.rate,
  interval: seconds(quota.intervalMs),
  block_interval: seconds(quota.blockMs),
  role: '',
  inheritable: false,
  type: 'rate-limit',
});

const number = () => z.union([z.number(), z.string().regex(/^\d+(\.\d+)?$/)]).transform(Number);
const bad = (reason: string) => failure('request.invalid', { reason });

export function quotaRoutes(core: Core): Route[] {
  const name = z.object({ name: z.string() });
  return [
    {
      path: 'quotas/config',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'What holds for all quotas.',
          input: z.object({}),
          output: z.object({
            enable_rate_limit_audit_logging: z.boolean(),
            enable_rate_limit_response_headers: z.boolean(),
            rate_limit_exempt_paths: z.array(z.string()),
          }),
          effect: 'none',
          async run() {
            const { exempt, headers, auditRefused } = services(core).quotas.config;
            return {
              data: {
                enable_rate_limit_audit_logging: auditRefused,
                enable_rate_limit_response_headers: headers,
                rate_limit_exempt_paths: [...exempt],
              },
            };
          },
        }),
        write: operation({
          summary: 'Sets what holds for all quotas.',
          input: z.object({
            enable_rate_limit_audit_logging: flag().optional(),
            enable_rate_limit_response_headers: flag().optional(),
            rate_limit_exempt_paths: commaList().optional(),
          }),
          output: z.undefined(),
          effect: 'write',
          async run(input) {
            const { quotas } = services(core);
            await quotas.configure({
              exempt: input.rate_limit_exempt_paths ?? quotas.config.exempt,
              headers: input.enable_rate_limit_response_headers ?? quotas.config.headers,
              auditRefused: input.enable_rate_limit_audit_logging ?? quotas.config.auditRefused,
            });
            return {};
          },
        }),
      },
    },
    {
      path: 'quotas/rate-limit',
      access: 'sudo',
      operations: {
        list: operation({
          summary: 'The names of the quotas.',
          input: z.object({}),
          output: z.object({ keys: z.array(z.string()) }),
          effect: 'none',
          run: async () => ({ data: { keys: services(core).quotas.list() } }),
        }),
      },
    },
    {
      path: 'quotas/rate-limit/:name',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'One quota.',
          input: name,
          output: quotaText,
          effect: 'none',
          async run({ name: asked }) {
            const quota = services(core).quotas.get(asked);
            return quota === undefined ? {} : { data: shown(quota) };
          },
        }),
        write: operation({
          summary: 'Sets how many requests an address may send in an interval.',
          input: z.object({
            name: z.string().regex(/^[\w.-]+$/, 'expected letters, digits, ".", "_" and "-"'),
            path: z.string().optional(),
            rate: number().optional(),
            interval: duration().optional(),
            block_interval: duration().optional(),
            role: z.string().default(''),
            type: z.string().default(''),
          }),
          output: z.undefined(),
          effect: 'write',
          async run(input) {
            const { quotas } = services(core);
            if (input.role !== '') throw bad('quotas by login role are not supported');
            const before = quotas.get(input.name);
            const rate = input.rate ?? before?.rate ?? 0;
            const intervalMs = input.interval ?? before?.intervalMs ?? 1000;
            const blockMs = input.block_interval ?? before?.blockMs ?? 0;
            if (!Number.isFinite(rate) || rate <= 0)
              throw bad("'rate' is invalid: it must be greater than 0");
            if (intervalMs < 1000) throw bad("'interval' must be at least one second");
            if (blockMs !== 0 && blockMs < 1000) throw bad("'block_interval' must be at least one second");
            const path = input.path === undefined ? (before?.path ?? '') : placeOf(core, input.path);
            await quotas.set({ name: input.name, path, rate, intervalMs, blockMs });
            return {};
          },
        }),
        delete: operation({
          summary: 'Takes a quota away.',
          input: name,
          output: z.undefined(),
          effect: 'write',
          async run({ name: asked }) {
            await services(core).quotas.delete(asked);
            return {};
          },
        }),
      },
    },
  ];
}

/** As it is compared with requests; the path of a mount covers the mount. @throws Failure path.*, request.invalid */
function placeOf(core: Core, given: string): string {
  if (given === '' || given === '/') return '';
  const wide = given.endsWith('*');
  const bare = wide ? given.slice(0, -1) : given;
  if (wide && bare === '') return '';
  const path = parsePath(bare);
  const { mounts } = services(core);
  if (!wide && mounts.get(`${asLeaf(path).text}/`) !== undefined) return `${asLeaf(path).text}/`;
  if (mounts.find(path) === undefined && path.segments[0] !== 'sys')
    throw bad(`invalid mount path "${given}"`);
  return wide ? `${path.text}*` : path.text;
}
