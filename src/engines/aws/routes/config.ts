/** `config/root`, `config/rotate-root` and `config/lease`: as whom AWS is asked, and how long users live. */

import { z } from 'zod';
import { goDuration, parseDuration } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { integer } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Settings } from '../config.ts';
import { nothing, text } from '../fields.ts';
import type { Span } from '../lease.ts';
import type { RootKey } from '../rootkey.ts';
import { NAME_TEMPLATE } from '../username.ts';

/** What upstream has and this engine has not: taken silently, it would be missed only when it is needed. */
const UNBUILT = [
  'role_arn',
  'identity_token_audience',
  'identity_token_ttl',
  'identity_token_key',
  'sts_fallback_endpoints',
  'sts_fallback_regions',
  'rotation_schedule',
  'rotation_window',
  'rotation_period',
] as const;

type Unbuilt = (typeof UNBUILT)[number];

const anything = z.union([z.string(), z.number(), z.array(z.string())]).nullish();
const unbuilt = z.object(
  Object.fromEntries(UNBUILT.map((name) => [name, anything])) as Record<Unbuilt, typeof anything>,
);

const rootInput = unbuilt.extend({
  access_key: text(256),
  secret_key: text(1024),
  region: text(64),
  iam_endpoint: text(2048),
  sts_endpoint: text(2048),
  sts_region: text(64),
  max_retries: integer().nullish(),
  username_template: text(8192),
});

const rootOutput = z.object({
  access_key: z.string(),
  iam_endpoint: z.string(),
  identity_token_audience: z.string(),
  identity_token_ttl: z.number(),
  max_retries: z.number(),
  region: z.string(),
  role_arn: z.string(),
  sts_endpoint: z.string(),
  sts_fallback_endpoints: z.array(z.string()).nullable(),
  sts_fallback_regions: z.array(z.string()).nullable(),
  sts_region: z.string(),
  username_template: z.string(),
});

export const configRoutes = (settings: Settings, root: RootKey, span: Span): Route[] => [
  {
    path: 'config/root',
    operations: {
      read: operation({
        summary: 'Read as whom and where AWS is asked; the secret key is never told.',
        input: nothing,
        output: rootOutput,
        effect: 'none',
        async run() {
          const stored = await settings.stored();
          if (stored === undefined) return {};
          const { config } = stored;
          return {
            data: {
              access_key: config.accessKey,
              iam_endpoint: config.iamEndpoint,
              identity_token_audience: '',
              identity_token_ttl: 0,
              max_retries: config.maxRetries,
              region: config.region,
              role_arn: '',
              sts_endpoint: config.stsEndpoint,
              sts_fallback_endpoints: null,
              sts_fallback_regions: null,
              sts_region: config.stsRegion,
              username_template: config.usernameTemplate,
            },
          };
        },
      }),
      write: operation({
        summary: 'Set as whom and where AWS is asked, in place of what there was.',
        input: rootInput,
        output: nothing,
        effect: 'write',
        async run(given) {
          const stray = UNBUILT.find((name) => isSet(given[name]));
          if (stray !== undefined)
            throw failure('aws.config', {
              reason: `${stray} is not known to this server, which asks AWS with an access key alone`,
            });
          await settings.replace({
            accessKey: given.access_key?.trim() ?? '',
            secretKey: given.secret_key?.trim() ?? '',
            region: given.region?.trim() ?? '',
            iamEndpoint: given.iam_endpoint?.trim() ?? '',
            stsEndpoint: given.sts_endpoint?.trim() ?? '',
            stsRegion: given.sts_region?.trim() ?? '',
            maxRetries: given.max_retries ?? -1,
            usernameTemplate: given.username_template || NAME_TEMPLATE,
          });
          return {};
        },
      }),
    },
  },
  {
    path: 'config/rotate-root',
    operations: {
      write: operation({
        summary: 'Make the access key that AWS is asked with anew, so that nobody else knows it.',
        input: nothing,
        output: z.object({ access_key: z.string() }),
        effect: 'write',
        async run() {
          return { data: { access_key: await root.rotate() } };
        },
      }),
    },
  },
  {
    path: 'config/lease',
    operations: {
      read: operation({
        summary: 'Read how long IAM users live.',
        input: nothing,
        output: z.object({ lease: z.string(), lease_max: z.string() }),
        effect: 'none',
        async run() {
          const stored = await span.stored();
          if (stored === undefined) return {};
          return { data: { lease: goDuration(stored.leaseMs), lease_max: goDuration(stored.maxMs) } };
        },
      }),
      write: operation({
        summary: 'Set how long IAM users live, and how long they can be renewed.',
        input: z.object({
          lease: z.union([z.string(), z.number()]).nullish(),
          lease_max: z.union([z.string(), z.number()]).nullish(),
        }),
        output: nothing,
        effect: 'write',
        async run(given) {
          await span.put({
            leaseMs: spanOf('lease', given.lease),
            maxMs: spanOf('lease_max', given.lease_max),
          });
          return {};
        },
      }),
    },
  },
];

/** @throws Failure aws.lease */
function spanOf(name: string, given: string | number | null | undefined): number {
  if (given == null || given === '')
    throw failure('aws.lease', { reason: `'${name}' is a required parameter` });
  let ms: number;
  try {
    ms = parseDuration(given);
  } catch {
    throw failure('aws.lease', { reason: `Invalid ${name}: write a duration such as 30m` });
  }
  if (ms < 0) throw failure('aws.lease', { reason: `Invalid ${name}: it may not be negative` });
  return ms;
}

const isSet = (value: unknown): boolean =>
  value != null && value !== '' && value !== 0 && !(Array.isArray(value) && value.length === 0);
