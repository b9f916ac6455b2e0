/** config, reset and rotate-root: which databases there are, and how the engine logs in. Passwords and keys never come back. */

import { z } from 'zod';
import { goDuration } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { commaList, duration, flag, integer } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Connections } from '../connections.ts';
import { checkedStatements, keys, named, nothing, statements } from '../fields.ts';
import { kindOf } from '../plugins.ts';
import { type Config, checkedName } from '../store.ts';
import { checkTls, parseConnectionUrl, shownUrl } from '../target.ts';
import { compileTemplate } from '../username.ts';

const PEM_LIMIT = 256 * 1024;
const OPEN = 4;
const MOST_OPEN = 64;
const text = (limit = 4096) => z.string().max(limit).nullish();

const input = named.extend({
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
});
type Given = z.output<typeof input>;

const output = z.object({
  plugin_name: z.string(),
  plugin_version: z.string(),
  allowed_roles: z.array(z.string()),
  connection_details: z.object({
    connection_url: z.string(),
    username: z.string(),
    username_template: z.string(),
    max_open_connections: z.number(),
    max_idle_connections: z.number(),
    max_connection_lifetime: z.string(),
    tls_ca: z.string(),
    tls_certificate: z.string(),
  }),
  password_policy: z.string(),
  root_credentials_rotate_statements: z.array(z.string()),
  verify_connection: z.boolean(),
});

const EMPTY: Config = {
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
};

const IN_URL =
  'Password found in connection_url, use a templated url to enable root rotation and prevent read access to password information.';

export function configRoutes(connections: Connections): Route[] {
  const { shelf } = connections;
  return [
    {
      path: 'config',
      operations: {
        list: operation({
          summary: 'List the databases.',
          input: nothing,
          output: keys,
          effect: 'none',
          async run() {
            const names = await shelf.names();
            return names.length === 0 ? {} : { data: { keys: names } };
          },
        }),
      },
    },
    {
      path: 'config/:name',
      exists: async ({ name = '' }) => (await shelf.get(name)) !== undefined,
      operations: {
        read: operation({
          summary: 'Read how a database is reached; never the password.',
          input: named,
          output,
          effect: 'none',
          async run({ name }) {
            const config = await shelf.get(name);
            return config === undefined ? {} : { data: shown(config) };
          },
        }),
        write: operation({
          summary: 'Make or change the connection to a database; what is left out stays as it is.',
          input,
          output: nothing,
          effect: 'write',
          async run(given) {
            const name = checkedName(given.name);
            const found = await shelf.find(name);
            const config = merged(found?.value ?? EMPTY, given);
            const { inline } = check(config);
            if (config.verify) await connections.verify(config);
            await shelf.put(name, config, found?.revision ?? 0);
            await connections.reset(name);
            return inline === undefined || inline.password === '' ? {} : { warnings: [IN_URL] };
          },
        }),
        delete: operation({
          summary: 'Forget a database. Accounts whose leases run can no longer be taken away.',
          input: named,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await shelf.delete(name);
            await connections.reset(name);
            return {};
          },
        }),
      },
    },
    {
      path: 'reset/:name',
      operations: {
        write: operation({
          summary: 'Close the connections to a database and open new ones.',
          input: named,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await connections.get(name);
            await connections.reset(name);
            return {};
          },
        }),
      },
    },
    {
      path: 'rotate-root/:name',
      operations: {
        write: operation({
          summary: 'Give the account that the engine logs in with a password that nobody else knows.',
          input: named,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await connections.rotateRoot(name);
            return {};
          },
        }),
      },
    },
  ];
}

function merged(before: Config, given: Given): Config {
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
      ca: given.tls_ca ?? before.tls.ca,
      certificate: given.tls_certificate ?? before.tls.certificate,
      key: given.private_key ?? before.tls.key,
    },
  };
}

/** @throws Failure database.plugin, database.config, database.template, database.statements */
function check(config: Config): ReturnType<typeof parseConnectionUrl> {
  if (config.plugin === '') throw bad('plugin_name is required');
  kindOf(config.plugin);
  if (config.url === '') throw bad('connection_url is required');
  const parsed = parseConnectionUrl(config.url);
  if (parsed.inline === undefined && config.username === '') throw bad('username is required');
  const { open, idle, lifetimeMs } = config.pool;
  if (open < 1 || open > MOST_OPEN) throw bad(`max_open_connections must be from 1 to ${MOST_OPEN}`);
  if (lifetimeMs < 0) throw bad('max_connection_lifetime may not be negative');
  if (idle < 0 && idle !== -1) throw bad('max_idle_connections may not be negative');
  checkTls(config.tls);
  checkedStatements(config.rootStatements);
  if (config.usernameTemplate !== '')
    compileTemplate(config.usernameTemplate)({ displayName: 'token', roleName: 'role', now: 0 });
  return parsed;
}

const shown = (config: Config): z.input<typeof output> => ({
  plugin_name: config.plugin,
  plugin_version: '',
  allowed_roles: [...config.allowedRoles],
  connection_details: {
    connection_url: shownUrl(config.url),
    username: config.username,
    username_template: config.usernameTemplate,
    max_open_connections: config.pool.open,
    max_idle_connections: config.pool.idle,
    max_connection_lifetime: goDuration(config.pool.lifetimeMs),
    tls_ca: config.tls.ca,
    tls_certificate: config.tls.certificate,
  },
  password_policy: config.passwordPolicy,
  root_credentials_rotate_statements: [...config.rootStatements],
  verify_connection: config.verify,
});

const bad = (reason: string) => failure('database.config', { reason });
