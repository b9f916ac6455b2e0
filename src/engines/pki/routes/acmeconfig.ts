/** `config/acme`, and the bindings that let an operator say who may have an account: `acme/new-eab` and `eab/`. */

import { z } from 'zod';
import { commaList, flag } from '../../../base/schema.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { newEab } from '../acme/eab.ts';
import { checkedSettings, NEEDS_PATH } from '../acme/policy.ts';
import { type AcmeSettings, EAB_POLICIES, type Eab } from '../acme/records.ts';
import { DIRECTORIES } from '../acme/session.ts';
import { nothing, paged, pageOf } from '../asking.ts';
import { iso } from '../issuing.ts';
import type { PkiStore } from '../store.ts';

const answer = z.object({
  enabled: z.boolean(),
  allowed_issuers: z.array(z.string()),
  allowed_roles: z.array(z.string()),
  allow_role_ext_key_usage: z.boolean(),
  default_directory_policy: z.string(),
  dns_resolver: z.string(),
  eab_policy: z.string(),
});
const told = (settings: AcmeSettings): z.input<typeof answer> => ({
  enabled: settings.enabled,
  allowed_issuers: [...settings.allowedIssuers],
  allowed_roles: [...settings.allowedRoles],
  allow_role_ext_key_usage: settings.allowRoleExtKeyUsage,
  default_directory_policy: settings.directoryPolicy,
  dns_resolver: settings.resolver,
  eab_policy: settings.eabPolicy,
});

const eabInfo = z.object({ key_type: z.string(), acme_directory: z.string(), created_on: z.string() });
const eabAnswer = eabInfo.extend({ id: z.string(), key: z.string() });
const infoOf = ({ directory, created }: Eab): z.input<typeof eabInfo> => ({
  key_type: 'hs',
  acme_directory: `${directory}directory`,
  created_on: iso(created),
});

const eabPolicy = z
  .string()
  .transform((given) => given.trim().toLowerCase())
  .refine((given) => (EAB_POLICIES as readonly string[]).includes(given), {
    message: `invalid eab policy name provided, valid values are '${EAB_POLICIES.join("', '")}'`,
  })
  .transform((given) => given as AcmeSettings['eabPolicy']);

export function acmeConfigRoutes(mount: Mount, store: PkiStore): Route[] {
  return [
    {
      path: 'config/acme',
      operations: {
        read: operation({
          summary: 'Read how ACME is served.',
          input: z.object({}),
          output: answer,
          effect: 'none',
          async run() {
            const settings = await store.setting('acme');
            const lacks = settings.enabled && (await store.setting('cluster')).path === '';
            return { data: told(settings), warnings: lacks ? [NEEDS_PATH] : [] };
          },
        }),
        write: operation({
          summary: 'Set whether and how ACME is served; what is left out stays.',
          input: z.object({
            enabled: flag().optional(),
            allowed_issuers: commaList().optional(),
            allowed_roles: commaList().optional(),
            allow_role_ext_key_usage: flag().optional(),
            default_directory_policy: z.string().optional(),
            dns_resolver: z.string().optional(),
            eab_policy: eabPolicy.optional(),
          }),
          output: answer,
          effect: 'write',
          async run(given) {
            const asked = (before: AcmeSettings): AcmeSettings => ({
              enabled: given.enabled ?? before.enabled,
              allowedIssuers: given.allowed_issuers ?? before.allowedIssuers,
              allowedRoles: given.allowed_roles ?? before.allowedRoles,
              allowRoleExtKeyUsage: given.allow_role_ext_key_usage ?? before.allowRoleExtKeyUsage,
              directoryPolicy: given.default_directory_policy ?? before.directoryPolicy,
              resolver: given.dns_resolver ?? before.resolver,
              eabPolicy: given.eab_policy ?? before.eabPolicy,
            });
            await checkedSettings(store, asked(await store.setting('acme')));
            return { data: told(await store.changeSetting('acme', asked)) };
          },
        }),
      },
    },
    ...DIRECTORIES.map(
      (prefix): Route => ({
        path: `${prefix}acme/new-eab`,
        operations: {
          write: operation({
            summary: 'Make a key that binds one new ACME account. It is told once.',
            input: z.object({}),
            output: eabAnswer,
            effect: 'write',
            async run(_, call) {
              const below = call.path.text.slice(mount.path.length);
              const eab = await newEab(mount, store, below.slice(0, -'new-eab'.length));
              return { data: { id: eab.id, key: eab.key, ...infoOf(eab) } };
            },
          }),
        },
      }),
    ),
    {
      path: 'eab',
      operations: {
        list: operation({
          summary: 'List the bindings that no account has used yet.',
          input: z.object(paged),
          output: z.object({ keys: z.array(z.string()), key_info: z.record(z.string(), eabInfo) }),
          effect: 'none',
          async run(given) {
            const keys = await store.list('acme/eab', pageOf(given));
            const found = await Promise.all(keys.map((id) => store.get('acme/eab', id)));
            const kept = found.filter((eab) => eab !== undefined);
            if (kept.length === 0) return {};
            const info = Object.fromEntries(kept.map((eab) => [eab.id, infoOf(eab)]));
            return { data: { keys: kept.map(({ id }) => id), key_info: info } };
          },
        }),
      },
    },
    {
      path: 'eab/:key_id',
      operations: {
        delete: operation({
          summary: 'Delete a binding that no account has used yet.',
          input: z.object({ key_id: z.string() }),
          output: nothing,
          effect: 'write',
          async run({ key_id: id }): Promise<Reply<Record<string, never>>> {
            const was = await store.delete('acme/eab', id);
            return was ? {} : { warnings: [`No key id found with id: ${id.replace(/[^\w-]/g, '?')}`] };
          },
        }),
      },
    },
  ];
}
