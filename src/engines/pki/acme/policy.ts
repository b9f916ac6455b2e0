/**
 * The settings of ACME (`config/acme`), and what a directory stands for: which role and which issuer the certificates of
 * `acme/`, `roles/:role/acme/`, `issuer/:issuer/acme/` and `issuer/:issuer/roles/:role/acme/` are made by.
 */

import { addressBytes } from '../../../base/cidr.ts';
import { failure, isFailure } from '../../../base/errors.ts';
import { shown } from '../allowed.ts';
import { findIssuer, type Opened } from '../issuers.ts';
import { ANYTHING, type Role } from '../role.ts';
import type { PkiStore } from '../store.ts';
import { AcmeError } from './problem.ts';
import type { AcmeSettings } from './records.ts';

export const NEEDS_PATH = "ACME feature requires local cluster 'path' field configuration to be set";
const refused = (reason: string) => failure('pki.request', { reason });
const isAny = (list: readonly string[]): boolean => list.length === 1 && list[0] === '*';
const ROLE = 'role:';

/** The role that a policy names, or undefined. */
const policyRole = (policy: string): string | undefined =>
  policy.startsWith(ROLE) ? policy.slice(ROLE.length) : undefined;

/** @throws Failure pki.request where the settings contradict one another or name what is not there */
export async function checkedSettings(store: PkiStore, settings: AcmeSettings): Promise<AcmeSettings> {
  const { allowedRoles, allowedIssuers, directoryPolicy } = settings;
  for (const [name, list] of [
    ['allowed_roles', allowedRoles],
    ['allowed_issuers', allowedIssuers],
  ] as const)
    if (list.length === 0)
      throw refused(
        `${name} must take a non-zero length value; specify '*' as the value to allow anything or specify enabled=false to disable ACME entirely`,
      );
  checkResolver(settings.resolver);
  const role = policyRole(directoryPolicy);
  if (role === '')
    throw refused(`invalid default_directory_policy: no role specified by policy ${shown(directoryPolicy)}`);
  if (role === undefined && directoryPolicy !== 'forbid' && directoryPolicy !== 'sign-verbatim')
    throw refused(
      `invalid default_directory_policy: string ${shown(directoryPolicy)} not a valid Default Directory Policy`,
    );
  if (role !== undefined)
    await acmeRole(store, role).catch((error: unknown) => {
      throw refused(
        `default directory policy role ${shown(role)} is not a valid ACME role: ${textOf(error)}`,
      );
    });
  if (!isAny(allowedRoles)) {
    for (const [index, name] of allowedRoles.entries()) {
      if (name === '*') throw refused(`cannot use '*' as role name at index ${index}`);
      await acmeRole(store, name).catch((error: unknown) => {
        throw refused(`allowed_role ${shown(name)} is not a valid acme role: ${textOf(error)}`);
      });
    }
    if (role !== undefined && !allowedRoles.includes(role))
      throw refused(`default directory policy ${directoryPolicy} was not specified in allowed_roles`);
  }
  if (!isAny(allowedIssuers))
    for (const [index, name] of allowedIssuers.entries()) {
      if (name === '*') throw refused(`cannot use '*' as issuer name at index ${index}`);
      await findIssuer(store, name).catch((error: unknown) => {
        throw refused(
          `failed validating allowed_issuers: unable to fetch issuer: ${shown(name)}: ${textOf(error)}`,
        );
      });
    }
  if (settings.enabled && (await store.setting('cluster')).path === '') throw refused(NEEDS_PATH);
  return settings;
}

const textOf = (error: unknown): string => {
  if (isFailure(error) || error instanceof AcmeError) return error.message;
  throw error;
};

function checkResolver(resolver: string): void {
  if (resolver === '') return;
  const why = 'failed to parse DNS resolver address: ';
  const parts = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(resolver);
  if (parts === null || Number(parts[3]) > 65_535 || Number(parts[3]) === 0)
    throw refused(`${why}expected <address>:<port>`);
  if (addressBytes(parts[1] ?? parts[2] ?? '') === undefined)
    throw refused(`${why}expected IPv4/IPv6 address, likely got hostname`);
}

/** @throws AcmeError where there is no such role, or it keeps nothing: what is not kept can be neither fetched nor revoked */
async function acmeRole(store: PkiStore, name: string): Promise<Role> {
  const role = await store.get('role', name);
  if (role === undefined) throw new AcmeError('malformed', 'role does not exist');
  if (role.no_store) throw new AcmeError('serverInternal', 'role can not be used as NoStore is set to true');
  return role;
}

export interface Directory {
  /** Below the mount, with a slash at the end: "roles/web/acme/". */
  readonly path: string;
  /** Its full address, with a slash at the end. */
  readonly url: string;
  readonly roleName: string;
  readonly role: Role;
  readonly issuer: Opened;
  readonly settings: AcmeSettings;
}

/**
 * What a directory stands for. Undefined: ACME is off.
 * @param path below the mount, up to and including "acme/"
 * @throws AcmeError where policy closes it
 */
export async function directoryOf(
  store: PkiStore,
  path: string,
  named: { readonly role?: string | undefined; readonly issuer?: string | undefined },
): Promise<Directory | undefined> {
  const settings = await store.setting('acme');
  if (!settings.enabled) return undefined;
  const base = (await store.setting('cluster')).path;
  if (base === '') throw new AcmeError('serverInternal', NEEDS_PATH);
  const closed = (why: string): AcmeError => new AcmeError('serverInternal', why);
  const { roleName, role } = await roleFor(store, settings, named.role);
  const issuer = await issuerFor(store, named.issuer ?? role.issuer_ref);
  if (!isAny(settings.allowedIssuers)) {
    const allowed = await Promise.all(settings.allowedIssuers.map((one) => findIssuer(store, one)));
    if (!allowed.some((one) => one.issuer.id === issuer.issuer.id))
      throw closed('specified issuer not allowed by ACME policy');
  }
  return {
    path,
    url: `${base.replace(/\/+$/, '')}/${path}`,
    roleName,
    role: settings.allowRoleExtKeyUsage ? role : forServers(role),
    issuer,
    settings,
  };
}

async function roleFor(
  store: PkiStore,
  { allowedRoles, directoryPolicy }: AcmeSettings,
  named: string | undefined,
): Promise<{ roleName: string; role: Role }> {
  if (named !== undefined) {
    const role = await acmeRole(store, named);
    if (!isAny(allowedRoles) && !allowedRoles.includes(named))
      throw new AcmeError('serverInternal', 'specified role not allowed by ACME policy');
    return { roleName: named, role };
  }
  const roleName = policyRole(directoryPolicy);
  if (roleName !== undefined) return { roleName, role: await acmeRole(store, roleName) };
  if (directoryPolicy !== 'sign-verbatim')
    throw new AcmeError('serverInternal', 'default directory not allowed by ACME policy');
  return { roleName: '', role: ANYTHING };
}

async function issuerFor(store: PkiStore, reference: string): Promise<Opened> {
  const found = await findIssuer(store, reference).catch((error: unknown) => {
    if (isFailure(error)) throw new AcmeError('malformed', 'issuer does not exist');
    throw error;
  });
  if (!found.issuer.usage.includes('issuing-certificates') || found.issuer.keyId === '')
    throw new AcmeError('serverInternal', 'issuer missing proper issuance usage or key');
  return found;
}

/** Whoever proved to hold a name proved nothing but that: a certificate for servers, unless the operator says more. */
const forServers = (role: Role): Role => ({
  ...role,
  ext_key_usage: ['serverauth'],
  ext_key_usage_oids: [],
  server_flag: true,
  client_flag: false,
  code_signing_flag: false,
  email_protection_flag: false,
});
