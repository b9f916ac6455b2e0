/** mounts, auth and their tuning. */

import { z } from 'zod';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { commaList, duration, flag, keyValues } from '../../base/schema.ts';
import { type Operation, operation, type Route } from '../../plugin/plugin.ts';
import { type Core, type Platform, services } from '../core/core.ts';
import { isFixed, type MountConfig, type MountEntry, type MountKind, mountPath } from '../core/mounts.ts';
import { builtinVersion } from './plugins.ts';

const none = z.object({});
const keyNames = z.array(z.string());
/** What is told of the settings of a mount only where somebody set it. */
const configText = {
  audit_non_hmac_request_keys: keyNames.optional(),
  audit_non_hmac_response_keys: keyNames.optional(),
  passthrough_request_headers: keyNames.optional(),
  listing_visibility: z.string().optional(),
  token_type: z.string().optional(),
};
const options = z.record(z.string(), z.string());
/** Seconds. */
const lives = { default_lease_ttl: z.number(), max_lease_ttl: z.number(), force_no_cache: z.boolean() };

/** An entry as `sys/mounts` and `sys/auth` print it. */
export const entryOutput = z.object({
  accessor: z.string(),
  config: z.object({ ...lives, ...configText }),
  deprecation_status: z.string().optional(),
  description: z.string(),
  external_entropy_access: z.boolean(),
  local: z.boolean(),
  options: options.nullable(),
  plugin_version: z.string(),
  running_plugin_version: z.string(),
  running_sha256: z.string(),
  seal_wrap: z.boolean(),
  type: z.string(),
  uuid: z.string(),
});
const tuneOutput = z.object({
  ...lives,
  ...configText,
  description: z.string(),
  options: options.optional(),
});

const configFields = {
  default_lease_ttl: duration().optional(),
  max_lease_ttl: duration().optional(),
  force_no_cache: flag().optional(),
  listing_visibility: z.enum(['', 'hidden', 'unauth']).optional(),
  audit_non_hmac_request_keys: commaList().optional(),
  audit_non_hmac_response_keys: commaList().optional(),
  passthrough_request_headers: commaList().optional(),
  token_type: z.enum(['', 'default-service', 'default-batch', 'service', 'batch']).optional(),
};
const configInput = z.object(configFields);
const place = z.object({ path: z.string() });

/** @param version of this program, of which every plugin is a part */
export function entryText(entry: MountEntry, version: string): z.input<typeof entryOutput> {
  return {
    accessor: entry.accessor,
    config: {
      default_lease_ttl: seconds(entry.config.defaultTtlMs),
      force_no_cache: entry.config.forceNoCache,
      max_lease_ttl: seconds(entry.config.maxTtlMs),
      ...(entry.config.listingVisibility === ''
        ? {}
        : { listing_visibility: entry.config.listingVisibility }),
      ...keysText(entry.config),
      ...(entry.kind === 'auth' ? { token_type: entry.config.tokenType } : {}),
    },
    // Nobody chose the mounts that every server has, so upstream tells nothing of their type's future.
    ...(isFixed(entry.path) ? {} : { deprecation_status: 'supported' }),
    description: entry.description,
    external_entropy_access: false,
    local: entry.local,
    options: Object.keys(entry.options).length === 0 ? null : { ...entry.options },
    plugin_version: '',
    running_plugin_version: builtinVersion(version),
    running_sha256: '',
    seal_wrap: entry.sealWrap,
    type: entry.type,
    uuid: entry.uuid,
  };
}

const keysText = (config: MountConfig) => ({
  ...(config.clearRequestKeys.length === 0
    ? {}
    : { audit_non_hmac_request_keys: [...config.clearRequestKeys] }),
  ...(config.clearResponseKeys.length === 0
    ? {}
    : { audit_non_hmac_response_keys: [...config.clearResponseKeys] }),
  ...(config.passthroughHeaders.length === 0
    ? {}
    : { passthrough_request_headers: [...config.passthroughHeaders] }),
});

function configOf(input: z.output<typeof configInput>): Partial<MountConfig> {
  const given: { -readonly [K in keyof MountConfig]?: MountConfig[K] } = {};
  if (input.default_lease_ttl !== undefined) given.defaultTtlMs = positive(input.default_lease_ttl);
  if (input.max_lease_ttl !== undefined) given.maxTtlMs = positive(input.max_lease_ttl);
  if (input.force_no_cache !== undefined) given.forceNoCache = input.force_no_cache;
  if (input.listing_visibility !== undefined) given.listingVisibility = input.listing_visibility;
  if (input.audit_non_hmac_request_keys !== undefined)
    given.clearRequestKeys = input.audit_non_hmac_request_keys;
  if (input.audit_non_hmac_response_keys !== undefined)
    given.clearResponseKeys = input.audit_non_hmac_response_keys;
  if (input.passthrough_request_headers !== undefined)
    given.passthroughHeaders = input.passthrough_request_headers;
  if (input.token_type !== undefined && input.token_type !== '') given.tokenType = input.token_type;
  if (given.defaultTtlMs && given.maxTtlMs && given.defaultTtlMs > given.maxTtlMs)
    throw failure('request.invalid', {
      reason: 'backend max lease TTL cannot be less than backend default lease TTL',
    });
  return given;
}

/** "system" is how clients ask for the default; a negative time is no time. */
const positive = (ms: number): number => {
  if (ms < 0) throw failure('request.invalid', { reason: 'a lease time may not be negative' });
  return ms;
};

export function mountRoutes({ core, version }: Platform): Route[] {
  return [...routesOf(core, version, 'secret', 'mounts'), ...routesOf(core, version, 'auth', 'auth')];
}

function routesOf(core: Core, version: string, kind: MountKind, root: string): Route[] {
  const shown = (entry: MountEntry): string =>
    kind === 'auth' ? entry.path.slice('auth/'.length) : entry.path;
  const access = kind === 'auth' ? 'sudo' : 'token';
  const list = operation({
    summary: kind === 'auth' ? 'The enabled auth methods.' : 'The enabled secret engines.',
    input: none,
    output: z.record(z.string(), entryOutput),
    effect: 'none',
    flat: true,
    run: async () => ({
      data: Object.fromEntries(
        services(core)
          .mounts.list(kind)
          .map((entry) => [shown(entry), entryText(entry, version)]),
      ),
    }),
  });
  const disable = operation({
    summary: 'Disables it, with all that it stores.',
    input: place,
    output: none,
    effect: 'write',
    async run({ path }) {
      const { mounts, leases, tokens, identity } = services(core);
      const full = mountPath(kind, path);
      // Auth methods ask for sudo: "sys/mounts/auth/x" must not be a way around it.
      if (kind === 'secret' && full.startsWith('auth/')) throw failure('mount.fixed', { path: full });
      let accessor: string | undefined;
      await mounts.disable(full, async (entry) => {
        if (entry.kind === 'auth') {
          await tokens.revokeLogins(entry.uuid);
          await identity.forgetMount(entry.accessor);
          accessor = entry.accessor;
        }
        await leases.revokeByMount(entry.uuid);
      });
      // Again, for logins that were under way while it went.
      if (accessor !== undefined) await identity.forgetMount(accessor);
      return {};
    },
  });
  return [
    { path: root, operations: { read: list } },
    // The engines' own paths may have slashes, and "/tune" at their end is a thing of ours.
    {
      path: `${root}/*path`,
      access,
      operations: { read: readOrTuned(core, version, kind), write: writeOrTune(core, kind), delete: disable },
    },
  ];
}

const isTune = (path: string): boolean => path.endsWith('/tune');
const untuned = (path: string): string => path.slice(0, -'/tune'.length);

function readOrTuned(core: Core, version: string, kind: MountKind): Operation {
  return operation({
    summary: 'One mount, or with "/tune" behind its path how it is tuned.',
    input: place,
    output: z.union([entryOutput, tuneOutput]),
    effect: 'none',
    flat: true,
    async run({ path }) {
      if (isTune(path)) return { data: tuneText(core, find(core, kind, untuned(path))) };
      return { data: entryText(find(core, kind, path), version) };
    },
  });
}

const enableInput = z.object({
  path: z.string(),
  type: z.string().default(''),
  plugin_name: z.string().default(''),
  description: z.string().default(''),
  config: configInput.nullish(),
  options: keyValues().nullish(),
  local: flag().default(false),
  seal_wrap: flag().default(false),
});

const tuneInput = z.object({
  path: z.string(),
  description: z.string().optional(),
  options: keyValues().nullish(),
  ...configFields,
});

function writeOrTune(core: Core, kind: MountKind): Operation {
  return operation({
    summary: 'Enables it at the path, or with "/tune" behind the path changes how it is tuned.',
    input: z.looseObject({ path: z.string() }),
    output: none,
    effect: 'write',
    async run(input) {
      if (isTune(input.path)) await tune(core, kind, parsed(tuneInput, input));
      else await enable(core, kind, parsed(enableInput, input));
      return {};
    },
  });
}

/** Two operations share these paths, so their fields are read here. A null is a field left out: so hvac sends them. */
function parsed<S extends z.ZodType>(schema: S, input: Readonly<Record<string, unknown>>): z.output<S> {
  const read = schema.safeParse(given(input));
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw failure('request.invalid', {
    reason: `field "${issue?.path.join('.') ?? ''}": ${issue?.message ?? 'not valid'}`,
  });
}

function given(members: object): object {
  const found: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(members))
    if (value !== null)
      found[name] = name === 'config' && typeof value === 'object' ? given(value as object) : value;
  return found;
}

async function enable(core: Core, kind: MountKind, input: z.output<typeof enableInput>): Promise<void> {
  await services(core).mounts.enable({
    kind,
    type: input.type === '' || input.type === 'plugin' ? input.plugin_name : input.type,
    path: input.path,
    description: input.description,
    options: input.options ?? {},
    config: configOf(input.config ?? {}),
    local: input.local,
    sealWrap: input.seal_wrap,
  });
}

async function tune(core: Core, kind: MountKind, input: z.output<typeof tuneInput>): Promise<void> {
  const { description, options, path, ...config } = input;
  const entry = find(core, kind, untuned(path));
  const version = options?.['version'];
  if (entry.options['version'] === '2' && version !== undefined && version !== '2')
    throw failure('request.invalid', { reason: 'cannot downgrade mount from version 2' });
  await services(core).mounts.tune(entry.path, {
    ...(description === undefined ? {} : { description }),
    ...(options === undefined || options === null ? {} : { options }),
    config: configOf(config),
  });
}

/** `sys/mounts/auth/x/tune` is another name of `sys/auth/x/tune`: mount paths in full are what it takes. */
function find(core: Core, kind: MountKind, path: string): MountEntry {
  const asAuth = kind === 'secret' && path.startsWith('auth/');
  const full = mountPath(asAuth ? 'auth' : kind, asAuth ? path.slice('auth/'.length) : path);
  const mount = services(core).mounts.get(full);
  if (mount !== undefined) return mount.entry;
  throw failure(kind === 'auth' ? 'mount.missing_auth' : 'mount.missing_secret', {
    path: kind === 'auth' ? full.slice('auth/'.length) : full,
  });
}

function tuneText(core: Core, entry: MountEntry): z.input<typeof tuneOutput> {
  const ttl = services(core).mounts.ttlOf(entry);
  return {
    default_lease_ttl: seconds(ttl.defaultMs),
    description: entry.description,
    force_no_cache: entry.config.forceNoCache,
    max_lease_ttl: seconds(ttl.maxMs),
    ...(Object.keys(entry.options).length === 0 ? {} : { options: { ...entry.options } }),
    ...(entry.config.listingVisibility === '' ? {} : { listing_visibility: entry.config.listingVisibility }),
    ...keysText(entry.config),
    ...(entry.kind === 'auth' ? { token_type: entry.config.tokenType } : {}),
  };
}
