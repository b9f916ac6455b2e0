/** The fields of a connection: what is taken, how it is kept, and what of it is shown. */

import { z } from 'zod';
import { goDuration } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { commaList, duration, flag, integer } from '../../base/schema.ts';
import { named, statements } from './fields.ts';
import { kindOf } from './plugins.ts';
import type { Config } from './store.ts';
import { type ConnectionUrl, checkTls, type Protocol, shownUrl } from './target.ts';
import { compileTemplate } from './username.ts';

const PEM_LIMIT = 256 * 1024;
const OPEN = 4;
const MOST_OPEN = 64;
const text = (limit = 4096) => z.string().max(limit).nullish();

export const input = named.extend({
  plugin_name: text(),
  plugin_version: text(),
  connection_url: text(),
  username: text(),
  password: text(),
  allowed_roles: commaList().nullish(),
  root_rotation_statements: statements().nullish(),
  password_policy: text(),
  verify_connection: flag().nullish(),
  username_template: text(),
  max_open_connections: integer().nullish(),
  max_idle_connections: integer().nullish(),
  max_connection_lifetime: duration().nullish(),
  tls_ca: text(PEM_LIMIT),
  tls_certificate: text(PEM_LIMIT),
  private_key: text(PEM_LIMIT),
  disable_escaping: flag().nullish(),
  // MySQL
  tls_certificate_key: text(PEM_LIMIT),
  tls_server_name: text(256),
  tls_skip_verify: flag().nullish(),
  // Redis
  host: text(256),
  port: integer().nullish(),
  tls: flag().nullish(),
  insecure_tls: flag().nullish(),
  ca_cert: text(PEM_LIMIT),
});
type Given = z.output<typeof input>;

const pooled = z.object({
  connection_url: z.string(),
  username: z.string(),
  username_template: z.string(),
  max_open_connections: z.number(),
  max_idle_connections: z.number(),
  max_connection_lifetime: z.string(),
  disable_escaping: z.boolean(),
  tls_ca: z.string(),
  tls_certificate: z.string().optional(),
  tls_server_name: z.string().optional(),
  tls_skip_verify: z.boolean().optional(),
});
const single = z.object({
  connection_url: z.string().optional(),
  host: z.string().optional(),
  port: z.number().optional(),
  tls: z.boolean().optional(),
  username: z.string(),
  username_template: z.string(),
  insecure_tls: z.boolean(),
  ca_cert: z.string(),
});
const details = z.union([pooled, single]);

export const output = z.object({
  plugin_name: z.string(),
  plugin_version: z.string(),
  allowed_roles: z.array(z.string()),
  connection_details: details,
  password_policy: z.string(),
  root_credentials_rotate_statements: z.array(z.string()),
  verify_connection: z.boolean(),
});

export const EMPTY: Config = {
  plugin: '',
  url: '',
  username: '',
  password: '',
  allowedRoles: [],
  rootStatements: [],
  passwordPolicy: '',
  usernameTemplate: '',
  verify: true,
  pool: { open: OPEN, idle: OPEN, lifetimeMs: 0 },
  tls: { ca: '', certificate: '', key: '' },
  tlsServerName: '',
  tlsSkipVerify: false,
  host: '',
  port: 0,
  useTls: false,
  insecureTls: false,
  disableEscaping: false,
};

/** What is left out stays as it is. */
export function merged(before: Config, given: Given): Config {
  // A new password replaces one that a rotation left undecided.
  const { pendingPassword, ...rest } = before;
  const keepsPending = pendingPassword !== undefined && given.password == null;
  return {
    ...rest,
    ...(keepsPending ? { pendingPassword } : {}),
    plugin: given.plugin_name ?? before.plugin,
    url: given.connection_url ?? before.url,
    username: given.username ?? before.username,
    password: given.password ?? before.password,
    allowedRoles: given.allowed_roles ?? before.allowedRoles,
    rootStatements: given.root_rotation_statements ?? before.rootStatements,
    passwordPolicy: given.password_policy ?? before.passwordPolicy,
    usernameTemplate: given.username_template ?? before.usernameTemplate,
    verify: given.verify_connection ?? before.verify,
    pool: {
      open: given.max_open_connections || before.pool.open,
      idle: given.max_idle_connections ?? before.pool.idle,
      lifetimeMs: given.max_connection_lifetime ?? before.pool.lifetimeMs,
    },
    tls: {
      ca: given.tls_ca ?? given.ca_cert ?? before.tls.ca,
      // MySQL has both in one text, and each reader finds its own.
      certificate: given.tls_certificate_key ?? given.tls_certificate ?? before.tls.certificate,
      key: given.tls_certificate_key ?? given.private_key ?? before.tls.key,
    },
    tlsServerName: given.tls_server_name ?? before.tlsServerName,
    tlsSkipVerify: given.tls_skip_verify ?? before.tlsSkipVerify,
    host: given.host ?? before.host,
    port: given.port ?? before.port,
    useTls: given.tls ?? before.useTls,
    insecureTls: given.insecure_tls ?? before.insecureTls,
    disableEscaping: given.disable_escaping ?? before.disableEscaping,
  };
}

/** @throws Failure database.plugin, database.config, database.template, database.statements */
export function checked(config: Config): ConnectionUrl {
  if (config.plugin === '') throw bad('plugin_name is required');
  const kind = kindOf(config.plugin);
  const address = kind.address(config);
  if (address.inline === undefined && config.username === '') throw bad('username is required');
  const { open, idle, lifetimeMs } = config.pool;
  if (open < 1 || open > MOST_OPEN) throw bad(`max_open_connections must be from 1 to ${MOST_OPEN}`);
  if (lifetimeMs < 0) throw bad('max_connection_lifetime may not be negative');
  if (idle < 0 && idle !== -1) throw bad('max_idle_connections may not be negative');
  checkTls(config.tls);
  kind.check('rotation', config.rootStatements);
  if (config.usernameTemplate !== '')
    compileTemplate(config.usernameTemplate)({ displayName: 'token', roleName: 'role', now: 0 });
  return address;
}

const protocolOf = (config: Config): Protocol => kindOf(config.plugin).address(config).target.protocol;

/** A configuration without its password and keys. */
export const shown = (config: Config): z.input<typeof output> => ({
  plugin_name: config.plugin,
  plugin_version: '',
  allowed_roles: [...config.allowedRoles],
  connection_details: protocolOf(config) === 'redis' ? redisDetails(config) : sqlDetails(config),
  password_policy: config.passwordPolicy,
  root_credentials_rotate_statements: [...config.rootStatements],
  verify_connection: config.verify,
});

const sqlDetails = (config: Config): z.input<typeof pooled> => ({
  connection_url: shownUrl(config.url),
  username: config.username,
  username_template: config.usernameTemplate,
  max_open_connections: config.pool.open,
  max_idle_connections: config.pool.idle,
  max_connection_lifetime: goDuration(config.pool.lifetimeMs),
  disable_escaping: config.disableEscaping,
  tls_ca: config.tls.ca,
  ...(protocolOf(config) === 'mysql'
    ? // Its certificate came in one text with its key.
      { tls_server_name: config.tlsServerName, tls_skip_verify: config.tlsSkipVerify }
    : { tls_certificate: config.tls.certificate }),
});

const redisDetails = (config: Config): z.input<typeof single> => ({
  ...(config.url === ''
    ? { host: config.host, port: config.port, tls: config.useTls }
    : { connection_url: shownUrl(config.url) }),
  username: config.username,
  username_template: config.usernameTemplate,
  insecure_tls: config.insecureTls,
  ca_cert: config.tls.ca,
});

const bad = (reason: string) => failure('database.config', { reason });
